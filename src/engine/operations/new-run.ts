/**
 * What retry and rerun do alike: a new run of the execution begins, some of its actions are as if they
 * had never been reached, and what follows from all others is decided anew.
 */
import type { PlanAction } from "../../language/kinds/table.ts";
import type { Refusal } from "../../model/event.ts";
import { type ActionRecord, isOpen, isOpenAction, runOfIds } from "../../model/execution.ts";
import { fields } from "../../model/ids.ts";
import { formatTimer } from "../../model/timer.ts";
import { rulesOf } from "../actions/table.ts";
import { decideAnew } from "../decision/anew.ts";
import type { Draft } from "../decision/draft.ts";
import { isUnmetJoin } from "../decision/recovery.ts";
import { endPause } from "./resume.ts";

/** The format in which records tell a run from those before it. */
export const newRunFormat = 4;

/** Of a paused or finished execution: RUNNING, with a fresh timeout; nothing of its end is left. */
export function beginRun(draft: Draft): void {
  const { state, plan, now } = draft;
  if (isOpen(state.status)) {
    endPause(draft);
    state.idRun = runOfIds(state);
  } else {
    draft.dropTimer(formatTimer({ kind: "retention" }));
    delete state.idRun;
  }
  if (plan.output !== undefined) draft.write(fields.result, null);
  if (state.timeoutTimer !== undefined) draft.dropTimer(state.timeoutTimer);
  state.status = "RUNNING";
  state.run += 1;
  delete state.endedAt;
  delete state.failure;
  delete state.cancelReason;
  delete state.followUpFailure;
  delete state.timeoutAt;
  delete state.timeoutTimer;
  draft.hold = false;
  if (plan.timeoutMs === undefined) return;
  // Pauses are added to it, those of earlier runs as well.
  state.timeoutAt = now + plan.timeoutMs - state.pausedMs;
  state.timeoutTimer = formatTimer({ kind: "timeout", run: state.run });
  draft.addTimer(state.timeoutTimer, now + plan.timeoutMs);
}

/** Whether the end of the execution came from this action, or took it along. */
export function endedUnhandled({ status, route, skippedBy }: ActionRecord): boolean {
  switch (status) {
    case "FAILED":
    case "TIMED_OUT":
      return route === undefined;
    case "CANCELLED":
      return skippedBy === undefined;
    default:
      return false;
  }
}

/**
 * What the end had failed or cancelled starts anew, and those that are reset are as if they had never
 * been reached. What is left of the execution decides when each starts.
 */
export function startAnew(draft: Draft, isReset: (index: number) => boolean): void {
  // What is between two attempts stays ready; what has not begun is decided anew.
  for (const index of draft.ready.splice(0)) {
    if (isOpenAction(draft.record(index))) draft.ready.push(index);
    else draft.state.open -= 1;
  }
  for (const action of draft.plan.actions) {
    const record = draft.record(action.index);
    if (isReset(action.index)) reset(draft, action, record);
    else if (endedUnhandled(record)) {
      const kept = rulesOf(action).retried?.(record);
      draft.setRecord(action.index, { status: "PENDING", ...kept });
    }
  }
  decideAnew(draft);
}

function reset(draft: Draft, action: PlanAction, record: ActionRecord): void {
  const { index, key } = action;
  if (draft.hasOutput(index)) draft.write(fields.output(key), null);
  if (isOpenAction(record)) {
    const place = draft.ready.indexOf(index);
    if (place >= 0) draft.ready.splice(place, 1);
    draft.state.open -= 1;
  }
  if (isOpenAction(record) || rulesOf(action).dropLeft !== undefined) {
    draft.closing.push({ index, record });
  }
  draft.setRecord(index, { status: "PENDING" });
}

/** One action may keep a new run from leading anywhere else than the one before. */
export function refusalOfAny(
  recordOf: (action: PlanAction) => ActionRecord,
  actions: readonly PlanAction[],
): Refusal | undefined {
  for (const action of actions) {
    const record = recordOf(action);
    const why = obstacleIn(action, record);
    if (why === undefined) continue;
    const message = `${why}; begin at an action before it, with rerun or fork.`;
    return { type: "invalid-state", message, actionStatus: record.status };
  }
  return undefined;
}

function obstacleIn({ kind, key }: PlanAction, record: ActionRecord): string | undefined {
  if (kind === "terminate" && record.status === "COMPLETED") {
    return `The action ${key} has terminated the execution`;
  }
  const isUnmet = endedUnhandled(record) && isUnmetJoin(record);
  return isUnmet ? `The join of the action ${key} is still not met` : undefined;
}
