/**
 * loop: asks whether to go on, runs a child, and asks again. It is asked in its turn in `ready`, RUNNING,
 * so that a pause holds the next round; its record holds how many rounds have ended, and a field of
 * data the result of the last one. Nothing else of it grows.
 */
import { Conditions } from "../../language/data/condition.ts";
import type { Scope } from "../../language/data/scope.ts";
import type { LoopPlanAction } from "../../language/kinds/loop.ts";
import type { EventAnswer, ScriptOutcome } from "../../model/event.ts";
import type { ActionRecord } from "../../model/execution.ts";
import { fields } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import { parseTimer } from "../../model/timer.ts";
import { askAt, askChild, cancelChild, startChild } from "../decision/children.ts";
import type { Draft } from "../decision/draft.ts";
import { completeAction, failAction } from "../decision/flow.ts";
import { childFailure, runsOrFail } from "./child.ts";
import {
  failMissing,
  momentAfter,
  resolveValue,
  secondsOrFail,
  withNeeds,
  withOwn,
} from "./common.ts";
import { type ActionRules, accepted, type EventOf, stale } from "./rules.ts";
import { scriptRules } from "./script.ts";

const scripts = scriptRules<LoopPlanAction>({
  request: (draft, action) => ({
    expression: action.while as string,
    isCondition: true,
    actions: { last: lastOf(draft, action), iteration: `${roundsOf(draft, action)}` },
  }),
  end: endScript,
});

export const loop: ActionRules<LoopPlanAction> = {
  start,
  waits: (record) => waits[timerKind(record) ?? "script"] ?? "script",
  timers: {
    ...scripts.timers,
    delay(draft, action, timer) {
      draft.spendTimer(action, timer);
      takeTurn(draft, action);
    },
    child: ask,
  },
  waitAgain,
  retried,
  events: { ...scripts.events, "child-ended": applyEnd, "child-lost": replaceChild },
  dropLeft(draft, action, { rounds = 0 }) {
    if (rounds > 0) draft.write(fields.last(action.key), null);
    return undefined;
  },
  close(draft, action, record) {
    const { handout, childVersion: version } = record;
    if (timerKind(record) !== "child" || handout === undefined || version === undefined) return;
    cancelChild(draft, action, { handout, target: action.target, version });
  },
};

const waits = { child: "child", delay: "delay", script: "script" } as const satisfies Record<
  string,
  ReturnType<NonNullable<ActionRules["waits"]>>
>;

/** It owns one at a time. */
function timerKind({ timers = [] }: ActionRecord): keyof typeof waits | undefined {
  const kind = parseTimer(timers[0] ?? "")?.kind;
  return kind === "child" || kind === "delay" || kind === "script" ? kind : undefined;
}

function roundsOf(draft: Draft, { index }: LoopPlanAction): number {
  return draft.record(index).rounds ?? 0;
}

/** The result of the last round, null before the first. */
function lastOf(draft: Draft, action: LoopPlanAction): JsonText {
  if (roundsOf(draft, action) === 0) return "null";
  return draft.requireField(fields.last(action.key));
}

function viewOf(draft: Draft, action: LoopPlanAction): Scope {
  const [last, iteration] = [lastOf(draft, action), `${roundsOf(draft, action)}`];
  return withOwn(draft.view(), (name) =>
    name === "last" ? last : name === "iteration" ? iteration : undefined,
  );
}

/** The rounds that have ended; with LOOP_LIMIT it would fail at once with these. */
function retried({ rounds, failure }: ActionRecord): Partial<ActionRecord> {
  if (rounds === undefined || failure?.code === "LOOP_LIMIT") return {};
  return { rounds };
}

/** It is its turn: for the first round of a run, or for the next. */
function start(draft: Draft, action: LoopPlanAction): void {
  const { dueAt: _dueAt, timers: _none, ...record } = draft.record(action.index);
  if (record.childVersion === undefined) {
    const version = runsOrFail(draft, action, draft.nextHandout());
    if (version === undefined) return;
    const { rounds = 0 } = record;
    const first = { startedAt: draft.now, rounds, childVersion: version };
    draft.setRecord(action.index, { ...record, ...first, status: "RUNNING" });
    draft.log("action.waiting", action);
  } else draft.setRecord(action.index, record);
  if (typeof action.while === "string") {
    // What it is going to see is there.
    lastOf(draft, action);
    scripts.start(draft, action);
    return;
  }
  const conditions = new Conditions(viewOf(draft, action), draft.work, action.indexed);
  const holds = conditions.holds(action.while);
  if (action.strict && conditions.missing !== undefined) {
    failMissing(draft, action, conditions.missing);
  } else goOn(draft, action, holds);
}

function endScript(draft: Draft, action: LoopPlanAction, outcome: ScriptOutcome): void {
  if (!outcome.ok) {
    const { code, message } = outcome;
    failAction(draft, action, { failure: { code, message } });
    return;
  }
  const { timers = [], handout: _ended, ...record } = draft.record(action.index);
  for (const timer of timers) draft.dropTimer(timer);
  draft.setRecord(action.index, record);
  withNeeds(draft, action, () => goOn(draft, action, outcome.output === "true"));
}

function goOn(draft: Draft, action: LoopPlanAction, holds: boolean): void {
  const rounds = roundsOf(draft, action);
  if (!holds) {
    const output = `{"iterations":${rounds},"last":${lastOf(draft, action)}}`;
    if (rounds > 0) draft.write(fields.last(action.key), null);
    completeAction(draft, action, { output, route: "default" });
  } else if (rounds >= action.maxIterations) {
    const message = `The condition still holds after ${rounds} rounds, the most that maxIterations allows.`;
    failAction(draft, action, { failure: { code: "LOOP_LIMIT", message } });
  } else startRound(draft, action, draft.nextHandout());
}

/** Also once more, where the store has lost what was started under this hand-out. */
function startRound(draft: Draft, action: LoopPlanAction, handout: number): void {
  const view = viewOf(draft, action);
  const input = resolveValue(draft, action.parameters, { strict: action.strict, view });
  if (typeof input !== "string") {
    failAction(draft, action, { failure: input });
    return;
  }
  const record = draft.record(action.index);
  const version = record.childVersion!;
  const child = startChild(draft, action, { handout, target: action.target, version, input });
  const timer = draft.timerId("child", action, handout);
  draft.addTimer(timer, askAt(draft, draft.now));
  draft.setRecord(action.index, { ...record, status: "WAITING", handout, child, timers: [timer] });
}

/** The round that failed it goes on. */
function waitAgain(
  draft: Draft,
  action: LoopPlanAction,
  { parent: { handout }, version }: EventOf<"child-resumed">,
): void {
  const { failure: _failure, endedAt: _endedAt, ...record } = draft.record(action.index);
  const timer = draft.timerId("child", action, handout);
  draft.addTimer(timer, askAt(draft, draft.now));
  const open = { handout, childVersion: version, timers: [timer] };
  draft.setRecord(action.index, { ...record, ...open, status: "WAITING" });
  draft.log("action.waiting", action, undefined, JSON.stringify({ child: record.child }));
}

function isAwaited({ status, handout: open }: ActionRecord, handout: number): boolean {
  return status === "WAITING" && open === handout;
}

function applyEnd(
  draft: Draft,
  action: LoopPlanAction,
  { parent, end }: EventOf<"child-ended">,
): EventAnswer {
  const { timers = [], handout: _ended, ...record } = draft.record(action.index);
  if (!isAwaited(draft.record(action.index), parent.handout)) return stale;
  if (!("output" in end)) {
    failAction(draft, action, { failure: childFailure(parent, end) });
    return accepted;
  }
  for (const timer of timers) draft.dropTimer(timer);
  draft.write(fields.last(action.key), end.output);
  draft.setRecord(action.index, { ...record, rounds: (record.rounds ?? 0) + 1 });
  withNeeds(draft, action, () => rest(draft, action, parent.handout));
  return accepted;
}

/** Between two rounds. */
function rest(draft: Draft, action: LoopPlanAction, handout: number): void {
  const seconds = secondsOf(draft, action);
  if (seconds === undefined) return;
  if (seconds <= 0) {
    takeTurn(draft, action);
    return;
  }
  const timer = draft.timerId("delay", action, handout);
  const dueAt = momentAfter(draft.now, seconds);
  draft.addTimer(timer, dueAt);
  const record = draft.record(action.index);
  draft.setRecord(action.index, { ...record, status: "WAITING", timers: [timer], dueAt });
}

/** Undefined after the action has been failed. */
function secondsOf(draft: Draft, action: LoopPlanAction): number | undefined {
  if (action.delaySeconds === undefined) return 0;
  const view = viewOf(draft, action);
  const text = resolveValue(draft, action.delaySeconds, { strict: action.strict, view });
  if (typeof text === "string") {
    return secondsOrFail(draft, action, { field: "delaySeconds", text, isBounded: true });
  }
  failAction(draft, action, { failure: text });
  return undefined;
}

function takeTurn(draft: Draft, { index }: LoopPlanAction): void {
  const { dueAt: _dueAt, ...record } = draft.record(index);
  draft.setRecord(index, { ...record, status: "RUNNING" });
  draft.ready.push(index);
}

function ask(draft: Draft, action: LoopPlanAction, timer: string): void {
  const { handout } = draft.record(action.index);
  if (handout === undefined) return;
  askChild(draft, action, { handout });
  // The start of the round is not known any more: each is asked for as if it had just begun.
  draft.addTimer(timer, askAt(draft, draft.now));
}

function replaceChild(
  draft: Draft,
  action: LoopPlanAction,
  { parent }: EventOf<"child-lost">,
): EventAnswer {
  if (!isAwaited(draft.record(action.index), parent.handout)) return stale;
  draft.log("child.lost", action);
  withNeeds(draft, action, () => startRound(draft, action, parent.handout));
  return accepted;
}
