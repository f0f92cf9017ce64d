/**
 * What the engine wants done: the next state, the data written, and effects. Nothing is done yet.
 */

import type { EventAnswer } from "./event.ts";
import type { ActionRecords, ExecutionState, Written } from "./execution.ts";
import type { JsonText } from "./json.ts";

/** A task to be queued; the header and parameters are JSON text. */
export interface NewTask {
  readonly id: string;
  /** `queueKey(queue, action name)`, or `jsonQueueKey` of that. */
  readonly queue: string;
  readonly priority: number;
  /** Longest attempt, from hand-out. */
  readonly timeoutMs: number;
  /** Longest silence of the worker; 0: the worker's default applies, if it heartbeats. */
  readonly heartbeatMs: number;
  /** Longest wait in the queue; 0: no limit. */
  readonly queueTimeoutMs: number;
  /** A TaskHeader as JSON text: opaque to the store. */
  readonly header: JsonText;
  readonly parameters: JsonText;
}

/** A timer to be set: `at` in milliseconds since the epoch. */
export interface NewTimer {
  /** Unique within the execution. */
  readonly id: string;
  /** Due moment, milliseconds since the epoch. */
  readonly at: number;
}

/** A message for the outbox; the body is JSON text. */
export interface NewMessage {
  /** Unique within the execution. */
  readonly id: string;
  readonly body: JsonText;
}

/** What one commit does besides writing the state. */
interface Effects {
  readonly tasks: readonly NewTask[];
  readonly dropTasks: readonly string[];
  readonly timers: readonly NewTimer[];
  readonly dropTimers: readonly string[];
  readonly messages: readonly NewMessage[];
  readonly history: readonly JsonText[];
}

/** A script that must be evaluated before, or after, the commit; its result is a `script` event. */
export interface ScriptRequest {
  readonly handout: number;
  /** The workflow: where scripts wait, workflows take turns. */
  readonly group: string;
  readonly actionIndex: number;
  readonly expression: string;
  /** The output is `true` or `false`: whether the completion value is truthy. */
  readonly isCondition?: boolean;
  readonly input: JsonText;
  readonly execution: JsonText;
  /** What `$` holds of each action, by its key. */
  readonly actions: Readonly<Record<string, JsonText>>;
}

/** A script that found no room: it waits in the store for its turn. */
export interface WaitingScript {
  readonly handout: number;
  /** When its timer is due, and any server may take it. */
  readonly until: number;
}

/** What follows from events: the next execution, its effects, and one answer for each event. */
export interface Decision {
  readonly state: ExecutionState;
  /** Passed on from the execution. */
  readonly written?: Written;
  /** All records, as `state` and the written record chunks hold them. */
  readonly records: ActionRecords;
  /** Fields to write; null deletes. */
  readonly data: ReadonlyMap<string, JsonText | null>;
  /** Fields that memory need not hold from now on. */
  readonly forget?: readonly string[];
  /** Null: the task must be on offer. */
  readonly settle: readonly { readonly taskId: string; readonly token: string | null }[];
  readonly expire: readonly {
    readonly taskId: string;
    /** Null: the task must still be queued. */
    readonly token: string | null;
    /** The lease's, or the queue timeout's, moment as the expiry saw it. */
    readonly until: number;
  }[];
  readonly consumeTimers: readonly { readonly id: string; readonly claimId: string }[];
  readonly effects: Effects;
  /** Scripts started by this decision. */
  readonly scripts: readonly ScriptRequest[];
  /** Scripts that wait for their turn since this decision, or go on waiting. */
  readonly waitingScripts: readonly WaitingScript[];
  /** One for each event that was taken, in order. Fewer than the events: a bound cut it there. */
  readonly answers: readonly EventAnswer[];
  /** Set when queued tasks are to be held back, or let go again. */
  readonly hold?: boolean;
  /** False: no event changed anything, and nothing is to be committed. */
  readonly changed: boolean;
  /** More can be done at once, without waiting for the timer that guards it. */
  readonly more: boolean;
}

/** Fields of data that must be loaded before the engine can decide. */
export interface NeedData {
  readonly need: readonly string[];
}
