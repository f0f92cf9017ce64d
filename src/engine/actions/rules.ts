/**
 * What the engine has to know of a kind of action: how it starts, what follows when one of its
 * timers is due or something happens to it, and what it owns while it is open. Each kind has a file
 * here that says it, and a place in table.ts.
 */
import type { PlanAction } from "../../language/kinds/table.ts";
import type { EventAnswer, ExecutionEvent } from "../../model/event.ts";
import type { ActionRecord, Execution, ExecutionState } from "../../model/execution.ts";
import type { ActionTimerKind } from "../../model/timer.ts";
import type { Draft } from "../decision/draft.ts";

export interface ActionRules<Action extends PlanAction = PlanAction> {
  /** It is its turn, and all that it reads is there. */
  readonly start: (draft: Draft, action: Action) => void;
  /** One of its timers is due. The record goes on to name it until it is spent. */
  readonly timers?: {
    readonly [Kind in ActionTimerKind]?: (draft: Draft, action: Action, timer: string) => void;
  };
  /** An event about it, under this hand-out. Without a rule for it, the event is stale. */
  readonly events?: {
    readonly [Type in ActionEvent["type"]]?: EventRule<EventOf<Type>, Action>;
  };
  /** The child because of which it had failed runs again: it waits for that one. */
  readonly waitAgain?: (draft: Draft, action: Action, event: EventOf<"child-resumed">) => void;
  /** Maps: the record of an item that has failed, and counts among the failures of its map. */
  readonly failedItem?: (draft: Draft, action: Action, item: number) => ActionRecord | undefined;
  /** A rerun may give it other parameters, which it takes by `parametersOrFail`. */
  readonly takesParameters?: true;
  /** What a retry of the execution keeps of its record: absent, nothing. */
  readonly retried?: (record: ActionRecord) => Partial<ActionRecord>;
  /** What it owns while it is open, besides the timers that its record names. */
  readonly owns?: (state: ExecutionState, action: Action, record: ActionRecord) => Owned;
  /** It ends before its time: what it has set going elsewhere is told. Its record is as it was open. */
  readonly close?: (draft: Draft, action: Action, record: ActionRecord) => void;
  /** What it waits for while it is open: must be there where an action of the kind can be open. */
  readonly waits?: (record: ActionRecord) => ActionWait;
  /** The store has lost its task: it makes another. */
  readonly replaceTask?: (draft: Draft, action: Action) => void;
  /** Drops the many things that it owns after its end; false: the commit has no room for more. */
  readonly closeParts?: (draft: Draft, action: Action) => boolean;
  /**
   * Drops what a record that a rerun has reset still owns, and its fields of data, as far as the commit
   * has room; returns what is left of the record, undefined: nothing.
   */
  readonly dropLeft?: (
    draft: Draft,
    action: Action,
    left: ActionRecord,
  ) => ActionRecord | undefined;
  /** Sentences about what is broken of it, where its record alone does not show what it owns. */
  readonly violations?: (
    execution: Execution,
    action: Action,
    record: ActionRecord,
    store: Holdings,
  ) => string[];
  /** Makes anew what the store has lost of it. */
  readonly repair?: (draft: Draft, action: Action, store: Holdings) => void;
}

/** What the store holds for the execution. */
export interface Holdings {
  readonly tasks: ReadonlySet<string>;
  readonly timers: ReadonlySet<string>;
}

/**
 * What an open action waits for. `task`: a worker's result. `backoff`: the next attempt. `delay`:
 * its moment. `signal`: an event, or its timeout. `script`: its evaluation. `script-turn`: room for
 * that. `child`: the end of the execution that it has started. `items`: those of a map. `sending`:
 * that its signal is stored.
 */
export type ActionWait =
  | "task"
  | "backoff"
  | "delay"
  | "signal"
  | "script"
  | "script-turn"
  | "child"
  | "items"
  | "sending";

/** What moves an open action on: promise 3 of the design. */
interface Owned {
  /** Id of a task. */
  readonly task?: string | undefined;
  /** A signal that somebody may send. */
  readonly signal?: boolean;
}

export type EventOf<Type extends ExecutionEvent["type"]> = Extract<ExecutionEvent, { type: Type }>;

/** Events that are about one action. */
export type ActionEvent = EventOf<
  | "result"
  | "lease-expired"
  | "queue-timeout"
  | "signal"
  | "script"
  | "script-turn"
  | "signal-sent"
  | "child-ended"
  | "child-lost"
>;

export type EventRule<Event extends ActionEvent, Action = PlanAction> = (
  draft: Draft,
  action: Action,
  event: Event,
  handout: number,
) => EventAnswer;

export const accepted: EventAnswer = { type: "accepted" };
export const stale: EventAnswer = { type: "stale" };
