/**
 * Operations of a person on a whole execution. Idempotent where that makes sense, and refused
 * with the current status where they do not apply.
 */
import { defined } from "../base/defined.ts";
import { unreachable } from "../base/errors.ts";
import { cutMessage } from "../language/data/cut.ts";
import type { EventAnswer, ExecutionEvent } from "../model/event.ts";
import { isOpen } from "../model/execution.ts";
import type { Draft } from "./decision/draft.ts";
import { endExecution } from "./decision/end.ts";

type Operation = Extract<ExecutionEvent, { type: "operation" }>;

const accepted: EventAnswer = { type: "accepted" };

export function applyOperation(draft: Draft, event: Operation): EventAnswer {
  const { status } = draft.state;
  if (!isOpen(status)) {
    return { type: "invalid-state", message: `The execution has ended: it is ${status}.` };
  }
  switch (event.operation) {
    case "pause":
      if (status === "RUNNING") pause(draft, event.reason);
      return accepted;
    case "resume":
      if (status === "PAUSED") resume(draft);
      return accepted;
    case "cancel":
      endExecution(draft, {
        status: "CANCELLED",
        ...defined({ reason: event.reason }),
      });
      return accepted;
    default:
      return unreachable(event.operation);
  }
}

/** Nothing new starts and queued tasks are held; what is under way goes on and is applied. */
function pause(draft: Draft, reason: string | undefined): void {
  draft.state.status = "PAUSED";
  draft.state.pausedAt = draft.now;
  draft.hold = true;
  const details = reason === undefined ? undefined : JSON.stringify({ reason: cutMessage(reason) });
  draft.log("execution.paused", undefined, undefined, details);
}

/** Timeouts stood still meanwhile: those that came due are set again for what was left of them. */
function resume(draft: Draft): void {
  const { state, now } = draft;
  const pausedMs = now - (state.pausedAt ?? now);
  state.status = "RUNNING";
  state.pausedMs += pausedMs;
  delete state.pausedAt;
  state.heldTimers = state.heldTimers.map(({ id, at }) => ({ id, at: at + pausedMs }));
  draft.hold = false;
  draft.log("execution.resumed");
}

/** The execution timeout's timer is due; paused time does not count. */
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
