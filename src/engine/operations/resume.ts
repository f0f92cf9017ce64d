/** resume: starts what a pause held back. */
import type { Draft } from "../decision/draft.ts";
import { refusalIfEnded } from "../decision/open.ts";
import { handDetails, type OperationRules } from "./rules.ts";

export const resume: OperationRules<"resume"> = {
  refusal: refusalIfEnded,
  apply(draft, event) {
    if (draft.state.status === "RUNNING") return;
    endPause(draft);
    draft.log("execution.resumed", undefined, undefined, handDetails(event));
  },
};

/** Timeouts stood still meanwhile: those that came due are set again for what was left of them. */
export function endPause(draft: Draft): void {
  const { state, now } = draft;
  const pausedMs = now - (state.pausedAt ?? now);
  state.status = "RUNNING";
  state.pausedMs += pausedMs;
  delete state.pausedAt;
  state.heldTimers = state.heldTimers.map(({ id, at }) => ({ id, at: at + pausedMs }));
  draft.hold = false;
}

/** As many as fit this commit. */
export function restoreHeldTimers(draft: Draft): void {
  const { state } = draft;
  if (state.status !== "RUNNING" || state.heldTimers.length === 0) return;
  const held = [...state.heldTimers];
  for (let timer = held.shift(); timer !== undefined; timer = held.shift()) {
    draft.addTimer(timer.id, Math.max(timer.at, draft.now));
    if (!draft.hasRoom()) break;
  }
  state.heldTimers = held;
}
