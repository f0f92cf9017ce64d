/** The end of an execution's `timeoutSeconds`: paused time does not count. */
import type { Draft } from "./decision/draft.ts";
import { endExecution } from "./decision/end.ts";

/** The execution timeout's timer is due. */
export function applyExecutionTimeout(draft: Draft, timer: string): void {
  const { state, now } = draft;
  if (timer !== state.timeoutTimer || state.timeoutAt === undefined) return;
  const until = state.timeoutAt + state.pausedMs;
  if (state.pausedAt !== undefined) {
    state.heldTimers = [...state.heldTimers, { id: timer, at: until }];
    return;
  }
  if (now < until) {
    draft.addTimer(timer, until);
    return;
  }
  const message = "The execution took longer than timeoutSeconds.";
  endExecution(draft, { status: "TIMED_OUT", failure: { code: "EXECUTION_TIMEOUT", message } });
}
