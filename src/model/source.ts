/**
 * A source: messages of a topic or queue, each of which starts an execution or is a signal. Its
 * templates see the message as `$.message`.
 */
import type { Json } from "./json.ts";

export interface SourceDefinition {
  /** `kafka:<topic>`, or `sqs:<queue>`. */
  readonly from: string;
  /** How the value of a message is read; `json` by default. */
  readonly format?: "json" | "text";
  readonly as: { readonly start: SourceStart } | { readonly signal: SourceSignal };
  /** Template; messages for which it becomes the same count once. Absent: each message counts. */
  readonly idempotencyKey?: string;
  /** Where messages go that cannot be handled: an address as `from`. Absent: they are parked. */
  readonly deadLetter?: string;
}

export interface SourceStart {
  readonly workflow: string;
  readonly version?: number;
  /** Template; `$.message.value` by default. */
  readonly input?: Json;
  /** Template. */
  readonly correlationId?: string;
  readonly priority?: number;
}

/** Templates, all of them; exactly one of `executionId` and `correlationId`. */
interface SourceSignal {
  readonly event: string;
  readonly executionId?: string;
  readonly correlationId?: string;
  /** `$.message.value` by default. */
  readonly payload?: Json;
}

/** As it is stored. */
export interface SavedSource {
  readonly definition: SourceDefinition;
  readonly savedAt: number;
  readonly paused?: true;
}

/**
 * `waiting`: for room or for the store; `failing`: its broker, or the place of its dead letters, cannot
 * be used; `unheld`: no server reads it.
 */
export type SourceState = "running" | "paused" | "waiting" | "failing" | "unheld";

/** What the server that reads it says of it. */
export interface SourceStatus {
  readonly state: Exclude<SourceState, "paused" | "unheld">;
  /** Since that server began with it. */
  readonly started: number;
  readonly signalled: number;
  /** Messages that had been handled before. */
  readonly duplicates: number;
  readonly deadLetters: number;
  /** Messages that are being handled. */
  readonly inFlight: number;
  /** Messages that nobody has acknowledged, as the broker counts them. */
  readonly lag?: number;
  /** What went wrong last: of a message, the broker or the store. */
  readonly error?: { readonly at: number; readonly message: string };
}

/** A message that could not be handled, as it is kept. */
export interface ParkedMessage {
  readonly id: string;
  readonly reason: string;
  readonly tries: number;
  readonly parkedAt: number;
  readonly message: {
    /** Of the broker. */
    readonly id: string;
    readonly key?: string;
    /** Absent: it is larger than a source takes. */
    readonly value?: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly sentAt: number;
  };
}
