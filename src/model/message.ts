/**
 * What executions send to each other through the outbox: the bodies of its messages. They are delivered
 * in the order of their source, each at least once, so every one is harmless when it is repeated.
 */
import type { ChildBeginning, ChildPlan, ParentLink } from "./child.ts";
import type { ExecutionStatus, Failure } from "./execution.ts";
import type { JsonText } from "./json.ts";

/**
 * The message that starts a follow-up workflow (onSuccess, onFailure). The id of what it starts is
 * a hash of the source's id, the message's and, from format 3 on, the source's start: a repeat
 * finds it there, and an execution that uses a deleted one's id again starts a separate follow-up.
 */
export interface StartMessage {
  readonly type: "start";
  readonly workflow: string;
  readonly input: JsonText;
  readonly depth: number;
  readonly correlationId?: string;
  /** Run of the source. */
  readonly run?: number;
  /** Absent in format 2: a server that reads only that builds the id without it. */
  readonly sourceStartedAt?: number;
  readonly traceContext?: string;
  readonly traceState?: string;
}

/** How a child has ended, as its parent hears it. */
export type ChildEnd =
  | { readonly output: JsonText }
  | {
      /** Absent: it could not be started. COMPLETED: its result cannot be passed on. */
      readonly status?: ExecutionStatus;
      readonly failure: Failure;
    };

/** Starts a child. Its input is the last member, as text. */
export interface StartChildMessage extends ChildPlan, ChildBeginning {
  readonly type: "start-child";
  readonly depth: number;
  readonly priority: number;
  readonly correlationId?: string;
  readonly traceContext?: string;
  readonly traceState?: string;
}

/** Ends a child; one that is not there is left CANCELLED, so that a late start finds it. */
export interface CancelChildMessage extends ChildPlan, ChildBeginning {
  readonly type: "cancel-child";
  readonly reason: string;
}

/** Asks whether a child is still there, and for its end if the parent has missed it. */
export interface AskChildMessage {
  readonly type: "ask-child";
  readonly parent: ParentLink;
}

/** Tells the parent that a child which had ended runs again. */
export interface ChildResumedMessage {
  readonly type: "child-resumed";
  readonly parent: ParentLink;
  readonly version: number;
}

/** Tells the parent of the end. The output is the last member, as text. */
export interface ChildEndedMessage {
  readonly type: "child-ended";
  readonly parent: ParentLink;
  readonly status: ExecutionStatus;
  /** Absent: there is an output. */
  readonly failure?: Failure;
}

/**
 * Sends an event to one execution, or to all open ones of a correlationId that wait for it, but the
 * source. The payload is the last member, as text.
 */
export interface SignalMessage {
  readonly type: "signal";
  /** Hand-out of the action that sends it. */
  readonly handout: number;
  readonly sentAt: number;
  readonly event: string;
  readonly executionId?: string;
  readonly correlationId?: string;
}

/** Sends a ticket for a task to a broker, whose consumers claim the task by it. */
export interface TicketMessage {
  readonly type: "ticket";
  readonly taskId: string;
  /** An address of brokers/address.ts. */
  readonly to: string;
}

/** What became of a signal at one of its targets. */
export interface SignalSent {
  readonly executionId: string;
  readonly outcome: "accepted" | "ended" | "not-found" | "too-many";
}

export type Message =
  | SignalMessage
  | TicketMessage
  | StartMessage
  | StartChildMessage
  | CancelChildMessage
  | AskChildMessage
  | ChildEndedMessage
  | ChildResumedMessage;

/** Messages that an end brings about, by their kind: each end of an execution is the end of a run. */
type EndMessage = "follow-up" | "child-ended";

/** The id of a message that the end of a run brings about. */
export function endMessageId(kind: EndMessage, run: number): string {
  return `${kind}:${run}`;
}

/** The run whose end has brought a message about; undefined: another thing has. */
export function runEndedWith(messageId: string): number | undefined {
  const run = /^(?:follow-up|child-ended):(\d+)$/.exec(messageId)?.[1];
  return run === undefined ? undefined : Number(run);
}
