/**
 * What can happen to an execution from outside the engine. Each event carries what makes its repeat
 * harmless: a lease token, a timer id, a hand-out number, or the id of its cause.
 */

import type { ParentLink } from "./child.ts";
import type { ActionStatus, Failure } from "./execution.ts";
import type { JsonText } from "./json.ts";
import type { ChildEnd, SignalSent } from "./message.ts";

/** What can be done by hand: to a whole execution, or to the action of this key. */
export type OperationRequest =
  | { readonly operation: "pause" }
  | { readonly operation: "resume" }
  | { readonly operation: "cancel" }
  | { readonly operation: "retry" }
  | { readonly operation: "rerun"; readonly action: string; readonly parameters?: JsonText }
  | { readonly operation: "skip"; readonly action: string; readonly output: JsonText }
  | {
      readonly operation: "complete";
      readonly action: string;
      readonly output: JsonText;
      readonly route?: string;
    }
  | { readonly operation: "fail"; readonly action: string; readonly failure: Failure }
  | { readonly operation: "retry-now"; readonly action: string }
  | {
      readonly operation: "max-concurrency";
      readonly action: string;
      readonly maxConcurrency: number;
    };

export type Operation = OperationRequest["operation"];

/** Why an operation is done, and who does it: the name of a key. */
export interface ByHand {
  readonly reason?: string;
  readonly who?: string;
}

/** What a worker returns for an attempt: an output as JSON text, or a failure. */
export type TaskOutcome =
  | { readonly ok: true; readonly output: JsonText }
  | {
      readonly ok: false;
      readonly failure: Failure;
      readonly retryable: boolean;
      /** The next attempt should not begin earlier, as far as `maxRetryAfterSeconds` lets it. */
      readonly retryAfterMs?: number;
    };

/** What the sandbox returns for a script: an output as JSON text, or a failure. */
export type ScriptOutcome =
  | { readonly ok: true; readonly output: JsonText; readonly route?: string }
  | {
      readonly ok: false;
      /** SCRIPT_ERROR, SCRIPT_LIMIT, or what the script has thrown. */
      readonly code: string;
      readonly message: string;
    };

/** What a caller names so that its repeat does nothing. */
export interface Cause {
  /** `signal:` or `operation:`, and the caller's id. */
  readonly id: string;
  /** A short hash of the event or of the kind of operation: the id counts only within it. */
  readonly scope: string;
  /** Of the request: the same id with another hash is no repeat. */
  readonly hash: string;
}

/** Everything that can happen to an execution, and that a decision is made of. */
export type ExecutionEvent =
  /**
   * A worker's word on an attempt. `token` was given with the task; null: it has a ticket alone, and
   * the task must be on offer.
   */
  | {
      readonly type: "result";
      readonly taskId: string;
      readonly token: string | null;
      readonly outcome: TaskOutcome;
      /** It only asks whether it would be a duplicate: nothing is settled. */
      readonly asks?: true;
      /** Absent or empty: it did not say who it is. */
      readonly worker?: string;
    }
  /**
   * A lease ran out; `heartbeat`: for want of a heartbeat, not because the attempt's time ended.
   */
  | {
      readonly type: "lease-expired";
      readonly taskId: string;
      readonly token: string;
      readonly leaseUntil: number;
      readonly heartbeat: boolean;
      readonly worker?: string;
    }
  /** A task waited in its queue for longer than it may. */
  | { readonly type: "queue-timeout"; readonly taskId: string; readonly queueUntil: number }
  /** A timer of this execution is due; `id` is one of model/timer.ts. */
  | { readonly type: "timer"; readonly id: string; readonly claimId: string }
  /**
   * The driver goes on with what the last commit had no room for, without waiting for the timer.
   */
  | { readonly type: "continue" }
  | {
      readonly type: "signal";
      readonly event: string;
      readonly payload: JsonText;
      readonly cause?: Cause;
    }
  | (OperationRequest & ByHand & { readonly type: "operation"; readonly cause?: Cause })
  /** A script that waits for its turn may be evaluated by this process now. */
  | { readonly type: "script-turn"; readonly handout: number }
  /** A script of this process has been evaluated. */
  | { readonly type: "script"; readonly handout: number; readonly outcome: ScriptOutcome }
  /** The sweeper found something broken; what the store holds for the execution. */
  | {
      readonly type: "repair";
      readonly tasks: ReadonlySet<string>;
      readonly timers: ReadonlySet<string>;
    }
  /** The store of its targets has the signal that an action sends. */
  | {
      readonly type: "signal-sent";
      readonly handout: number;
      readonly sent: readonly SignalSent[];
      /** Why the action fails: none of them has taken it. */
      readonly refusal?: string;
    }
  /** A child of an action has ended, or could not be started. */
  | { readonly type: "child-ended"; readonly parent: ParentLink; readonly end: ChildEnd }
  /** A child that was started is not there: the store has lost it. */
  | { readonly type: "child-lost"; readonly parent: ParentLink }
  /** A child that had ended runs again, in this version of its workflow. */
  | { readonly type: "child-resumed"; readonly parent: ParentLink; readonly version: number }
  /** The action that has started this child waits for it no more. */
  | { readonly type: "parent-ended"; readonly reason: string }
  /** The parent asks for this child's end, which it may have missed. */
  | { readonly type: "parent-asks" }
  /** A message of this execution's outbox was delivered, or given up. */
  | { readonly type: "outbox"; readonly id: string; readonly failure?: string };

/** What became of one event; the caller of the event gets it. */
export type EventAnswer =
  | {
      readonly type: "accepted";
      /** Of a signal that no action waits for yet, with what makes that strange. */
      readonly buffered?: { readonly warning?: string };
    }
  | { readonly type: "duplicate" }
  /** The id of its cause was used in the same scope for something else. */
  | { readonly type: "reused" }
  /** The world has moved on: another lease, another run, an ended execution. */
  | { readonly type: "stale" }
  /** The operation does not apply in the current status, of the execution or of its action. */
  | {
      readonly type: "invalid-state";
      readonly message: string;
      readonly actionStatus?: ActionStatus;
    }
  /** It names an action that the execution does not have. */
  | { readonly type: "no-action"; readonly message: string }
  /** What it asks for cannot be; `pointer` into its body. */
  | { readonly type: "refused"; readonly pointer: string; readonly message: string }
  /** A server that shares the store does not know what it would write. */
  | { readonly type: "unread" }
  /** A bound was passed; nothing was kept. */
  | { readonly type: "too-many"; readonly message: string };

/** The answers that say why an operation was refused. */
export type Refusal = Extract<
  EventAnswer,
  { readonly type: "invalid-state" | "no-action" | "refused" }
>;
