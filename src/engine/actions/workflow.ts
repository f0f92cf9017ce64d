/**
 * workflow: runs a child and waits for its end. Each attempt is a child of its own. The action owns a
 * timer that asks for a child that has not been heard of for long.
 */
import type { WorkflowPlanAction } from "../../language/kinds/workflow.ts";
import { userRules } from "../../language/user-rules.ts";
import { childIdOf } from "../../model/child.ts";
import type { EventAnswer } from "../../model/event.ts";
import { askAt, askChild, cancelChild, startChild } from "../decision/children.ts";
import type { Draft } from "../decision/draft.ts";
import { completeAction } from "../decision/flow.ts";
import { ActionSubject, endBackoff } from "./action-subject.ts";
import { endAttempt } from "./attempts.ts";
import { childFailure, mayRetryChild, runsOrFail } from "./child.ts";
import { parametersOrFail, withNeeds } from "./common.ts";
import { type ActionRules, accepted, type EventOf, stale } from "./rules.ts";

export const workflow: ActionRules<WorkflowPlanAction> = {
  start,
  waits: ({ status }) => (status === "RETRYING" ? "backoff" : "child"),
  timers: { child: ask, retry: endBackoff },
  events: { "child-ended": applyEnd, "child-lost": replaceChild },
  takesParameters: true,
  waitAgain,
  close(draft, action, { handout, childVersion: version }) {
    if (handout === undefined || version === undefined) return;
    cancelChild(draft, action, { handout, target: action.target, version });
  },
};

function start(draft: Draft, action: WorkflowPlanAction): void {
  const handout = draft.nextHandout();
  const version = runsOrFail(draft, action, handout);
  if (version === undefined) return;
  const input = parametersOrFail(draft, action);
  if (input === undefined) return;
  const { target, detach } = action;
  const child = { handout, ...(detach && { detached: true as const }) };
  const id = startChild(draft, action, { ...child, target, version, input });
  const { dueAt: _dueAt, ...before } = draft.record(action.index);
  const record = { ...before, startedAt: before.startedAt ?? draft.now, child: id };
  if (detach) {
    draft.setRecord(action.index, record);
    completeAction(draft, action, {
      output: JSON.stringify({ executionId: id }),
      route: "default",
    });
    return;
  }
  const attempt = (before.attempt ?? 0) + 1;
  const timer = draft.timerId("child", action, handout);
  draft.addTimer(timer, askAt(draft, draft.now));
  draft.setRecord(action.index, {
    ...record,
    status: "WAITING",
    handout,
    attempt,
    childVersion: version,
    timers: [timer],
  });
  draft.log("action.waiting", action, attempt, JSON.stringify({ child: id }));
}

/** For the same child, under its hand-out; the attempt goes on. */
function waitAgain(
  draft: Draft,
  action: WorkflowPlanAction,
  { parent: { handout }, version }: EventOf<"child-resumed">,
): void {
  const { failure: _failure, endedAt: _endedAt, ...record } = draft.record(action.index);
  const timer = draft.timerId("child", action, handout);
  draft.addTimer(timer, askAt(draft, draft.now));
  draft.setRecord(action.index, {
    ...record,
    status: "WAITING",
    handout,
    attempts: record.attempts?.slice(0, -1) ?? [],
    childVersion: version,
    timers: [timer],
  });
  draft.log("action.waiting", action, record.attempt, JSON.stringify({ child: record.child }));
}

function isAwaited(draft: Draft, action: WorkflowPlanAction, handout: number): boolean {
  const record = draft.record(action.index);
  return record.status === "WAITING" && record.handout === handout;
}

function applyEnd(
  draft: Draft,
  action: WorkflowPlanAction,
  { parent, end }: EventOf<"child-ended">,
): EventAnswer {
  const { handout } = parent;
  if (!isAwaited(draft, action, handout)) return stale;
  if ("output" in end) {
    completeAction(draft, action, { output: end.output, route: "default" });
    return accepted;
  }
  const { timers = [], handout: _ended, ...record } = draft.record(action.index);
  for (const timer of timers) draft.dropTimer(timer);
  draft.setRecord(action.index, record);
  const failure = childFailure(parent, end);
  const number = record.attempt ?? 1;
  endAttempt(
    new ActionSubject(draft, action),
    { number, handout, endedAt: draft.now, failure },
    { rules: userRules(action.retry, undefined), retryable: mayRetryChild(end) },
  );
  return accepted;
}

function ask(draft: Draft, action: WorkflowPlanAction, timer: string): void {
  const { handout, startedAt = draft.now } = draft.record(action.index);
  if (handout === undefined) return;
  askChild(draft, action, { handout });
  draft.addTimer(timer, askAt(draft, startedAt));
}

/** The same child is started again. */
function replaceChild(
  draft: Draft,
  action: WorkflowPlanAction,
  { parent }: EventOf<"child-lost">,
): EventAnswer {
  const { handout } = parent;
  if (!isAwaited(draft, action, handout)) return stale;
  const version = draft.record(action.index).childVersion!;
  draft.log("child.lost", action, undefined, JSON.stringify({ child: childIdOf(parent) }));
  withNeeds(draft, action, () => {
    const input = parametersOrFail(draft, action);
    if (input === undefined) return;
    startChild(draft, action, { handout, target: action.target, version, input });
  });
  return accepted;
}
