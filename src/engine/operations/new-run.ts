/**
 * What retry and rerun do alike: a new run of the execution begins, some of its actions are as if they
 * had never been reached, and what follows from all others is decided anew.
 */
import type { PlanAction } from "../../language/kinds/table.ts";
import { type ActionRecord, isOpen } from "../../model/execution.ts";
import { fields } from "../../model/ids.ts";
import { formatTimer } from "../../model/timer.ts";
import { decideAnew } from "../decision/anew.ts";
import type { Draft } from "../decision/draft.ts";
import { endPause } from "./resume.ts";

/** The format in which records tell a run from those before it. */
export const newRunFormat = 4;

/** RUNNING, with a fresh timeout; nothing of the end that was is left. */
export function beginRun(draft: Draft): void {
  const { state, plan, now } = draft;
  if (state.status === "PAUSED") endPause(draft);
  if (!isOpen(state.status)) draft.dropTimer(formatTimer({ kind: "retention" }));
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

/** They are as if they had never been reached; what is left of the execution decides when they start. */
export function startAnew(draft: Draft, actions: Iterable<PlanAction>): void {
  for (const { index } of actions) draft.setRecord(index, { status: "PENDING" });
  decideAnew(draft);
}
