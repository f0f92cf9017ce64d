/**
 * The record of an execution as the store works with it: its head, tasks that stand in rows beside it,
 * and references to parts. All of it is immutable; a change makes a new one.
 */
import type { Head, KeptStart, Listing } from "../store.ts";
import type { Place } from "./driver.ts";
import type { HoldTerms, StoredLife } from "./holds.ts";

/** A text that stands in parts: too large for a record. */
export interface PartRef {
  /** Of its chunks: this, a slash, and a number from 0. */
  readonly name: string;
  readonly chunks: number;
}

export type Text = string | PartRef;

/** What claimDue has given, or has to give later: hidden until then. */
export interface Hiding {
  readonly claimId: string;
  readonly until: number;
}

export interface TaskRecord {
  readonly id: string;
  readonly queue: string;
  readonly priority: number;
  readonly timeoutMs: number;
  readonly heartbeatMs: number;
  readonly header: Text;
  readonly parameters: Text;
  readonly queuedAt: number;
  /** Order of adding in its execution. */
  readonly sequence: number;
  readonly life: StoredLife;
  readonly hiding: Hiding | undefined;
  /** Of its hint in the queue, while it is queued. */
  readonly place: Place | undefined;
}

/** A task in a row beside the head. */
export interface RowRecord {
  readonly version: number;
  readonly task: TaskRecord;
  /** Of the hint that comes no later than the row is due. */
  readonly due: Place | undefined;
}

/** A lone task that was dropped while it was leased: for the heartbeat of its worker. */
export interface DroppedTask {
  readonly id: string;
  readonly token: string;
  readonly until: number;
}

export interface TimerRecord {
  readonly id: string;
  readonly at: number;
  readonly hiding: Hiding | undefined;
}

export interface MessageRecord {
  readonly id: string;
  readonly body: Text;
  readonly deliveries: number;
  /** Order of sending in its execution. */
  readonly sequence: number;
  readonly visibleAt: number;
  readonly claimId: string | undefined;
}

/** Fields of data: the latest here, older ones in blocks, which are sorted and immutable. */
export interface Fields {
  /** Null: deleted, which hides what a block holds. */
  readonly recent: ReadonlyMap<string, Text | null>;
  /** The oldest first; what is in a later one counts. */
  readonly blocks: readonly Block[];
}

/** Entries of a history: the latest here, older ones in blocks. */
export interface HistoryRecord {
  readonly recent: readonly string[];
  readonly blocks: readonly Block[];
}

export interface Block {
  readonly ref: PartRef;
  /** Entries in it. */
  readonly count: number;
  /** Characters of its text. */
  readonly chars: number;
}

/** What a removal leaves. */
export interface Grave {
  readonly until: number;
  readonly kept: KeptStart | undefined;
  /** False: rows and parts are left to be deleted. */
  readonly isEmpty: boolean;
}

export interface ExecutionRecord {
  readonly version: number;
  readonly head: Head;
  readonly recentCommitIds: readonly string[];
  /** Commit id of the creation. */
  readonly createdBy: string;
  readonly requestHash: string | undefined;
  readonly listing: Listing;
  /** Ends of the ids of its places in lists: in those by status, and in all others. */
  readonly listed: { readonly status: string; readonly other: string };
  readonly hold: HoldTerms;
  readonly state: Text;
  readonly fields: Fields;
  readonly history: HistoryRecord;
  /** The only task; others are in rows. */
  readonly lone: TaskRecord | undefined;
  readonly dropped: readonly DroppedTask[];
  /** Tasks in rows that are queued or leased. */
  readonly rows: number;
  /** Whether it ever had rows: some may be left that were dropped. */
  readonly isWide: boolean;
  /** Counts tasks and messages. */
  readonly sequence: number;
  readonly timers: readonly TimerRecord[];
  readonly messages: readonly MessageRecord[];
  /** Of the hint that comes no later than anything in this record is due. */
  readonly due: Place | undefined;
  /** Of the hint in the outbox. */
  readonly outbox: Place | undefined;
  readonly grave: Grave | undefined;
}

/** An execution with those of its rows that were asked for, as they were read. */
export interface Group {
  readonly execution: ExecutionRecord | undefined;
  readonly rows: ReadonlyMap<string, RowRecord>;
}

/** In the head, or in a row that was read. */
export function taskIn({ execution, rows }: Group, id: string): TaskRecord | undefined {
  return execution?.lone?.id === id ? execution.lone : rows.get(id)?.task;
}
