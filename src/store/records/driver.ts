/**
 * What the records store asks of a database that has no transaction over a partition, and has one
 * conditional write on a small group of rows: DynamoDB, Cassandra, and memory for the simulator.
 *
 * The record of an execution is the truth. Everything by which servers find work is a hint: posted
 * before the conditional write that needs it, under a place that is used once, and struck after it.
 * A crash in between leaves a hint that leads to nothing, never work without a hint.
 *
 * Every operation may throw a StoreFault: `not_applied` only where that is certain, else `unknown`.
 * Bodies are opaque text of at most `bodyBytesMax`.
 */
import type { ExecutionKey } from "../../model/ids.ts";
import type { DocumentStore } from "../contract/documents.ts";
import type { ServerStore } from "../contract/servers.ts";
import type { TransferStore } from "../contract/transfer.ts";

/** A row of an execution: its head, or one task of a wide fan-out. */
export interface StoredRecord {
  /**
   * Raised by every change. A new one is the moment of the change, or one more than before where that
   * is higher: so versions grow over a removal and a new creation under the same id, too.
   */
  readonly version: number;
  readonly body: string;
}

/** The head of an execution, with what a change of other rows may depend on. */
export interface HeadRecord extends StoredRecord {
  /** True: held (paused), or removed; tasks in rows of their own are not handed out. */
  readonly closed: boolean;
}

export interface RecordGroup {
  readonly head?: HeadRecord;
  /** By name: those that were asked for and exist. */
  readonly rows: ReadonlyMap<string, StoredRecord>;
}

export interface ReadRequest {
  readonly key: ExecutionKey;
  /** Absent: the head alone. */
  readonly rows?: "all" | readonly string[];
  /**
   * True: all that has been written is seen, by calls with an unknown outcome, too. What is still under
   * way is refused once the store has raised the version.
   */
  readonly sure?: boolean;
}

/** What must hold for the head, and what it becomes. */
export type HeadChange =
  /** `expected` null: it must not exist. `expiresAt`: the database may forget it after that. */
  | {
      readonly kind: "write";
      readonly expected: number | null;
      readonly next: HeadRecord;
      readonly expiresAt?: number;
    }
  | { readonly kind: "delete"; readonly expected: number }
  /** It exists and is not closed; it stays as it is. */
  | { readonly kind: "open" }
  /** Not looked at. */
  | { readonly kind: "any" };

export interface RowChange {
  readonly name: string;
  /** The version that it has; null: it must not exist. */
  readonly expected: number | null;
  /** Absent: the row is deleted. */
  readonly next?: StoredRecord;
}

/**
 * One atomic, conditional write: all conditions hold and all is written, or nothing is. At most
 * `changeRowsMax` rows besides the head.
 */
export interface Change {
  readonly key: ExecutionKey;
  readonly head: HeadChange;
  readonly rows: readonly RowChange[];
}

export type ChangeAnswer =
  | { readonly outcome: "changed" }
  /**
   * A condition did not hold. `found`: what is there, where the database says so with the refusal;
   * otherwise the caller reads.
   */
  | { readonly outcome: "refused"; readonly found?: RecordGroup };

/**
 * Anything large, or one of many: immutable, written before the record that refers to it. The name
 * begins with the commit id that wrote it, so that a write that lost its race disturbs nothing.
 */
export interface Part {
  readonly name: string;
  readonly body: Uint8Array;
}

/** The truth: executions, each a head, rows, and parts. */
export interface Aggregates {
  read(request: ReadRequest): Promise<RecordGroup>;
  /** Heads of many executions of one partition, in the order of `keys`, as after acknowledged writes. */
  readHeads(keys: readonly ExecutionKey[]): Promise<readonly (HeadRecord | undefined)[]>;
  change(change: Change): Promise<ChangeAnswer>;

  putParts(key: ExecutionKey, parts: readonly Part[]): Promise<void>;
  /** In the order of `names`; undefined: there is none. */
  readParts(
    key: ExecutionKey,
    names: readonly string[],
  ): Promise<readonly (Uint8Array | undefined)[]>;
  dropParts(key: ExecutionKey, names: readonly string[]): Promise<void>;
  /** Names in their order, those with the prefix, after the given one; for removals. */
  listParts(request: {
    readonly key: ExecutionKey;
    readonly prefix?: string;
    readonly after?: string;
    readonly limit: number;
  }): Promise<readonly string[]>;
}

/**
 * Where a hint is: `work` shelves (queues, due, outbox) are scanned from the earliest place, and their
 * entries are struck soon; `list` shelves from the latest place, and theirs stay.
 */
export interface Shelf {
  readonly partition: number;
  readonly kind: "work" | "list";
  readonly name: string;
}

/** Order: by moment (ms), then by id in the order of code points. Used once, never written over. */
export interface Place {
  readonly at: number;
  readonly id: string;
}

export interface Entry {
  readonly place: Place;
  readonly body: string;
}

export interface ScanRequest {
  readonly shelf: Shelf;
  /** Strictly beyond it in the direction of the shelf. */
  readonly after?: Place;
  /** Work: only moments up to this one. List: only moments later than this one. */
  readonly bound?: number;
  readonly limit: number;
}

export interface ScanAnswer {
  readonly entries: readonly Entry[];
  /** Entries within the bound may follow. */
  readonly more: boolean;
}

/** The hints. Plain writes. */
export interface Shelves {
  /** All of them, or a StoreFault after which some may be there. */
  post(hints: readonly { readonly shelf: Shelf; readonly entry: Entry }[]): Promise<void>;
  strike(hints: readonly { readonly shelf: Shelf; readonly place: Place }[]): Promise<void>;
  /**
   * Sees what was posted before, if its moment was not earlier than `lateMs` before the posting. What
   * was posted for an earlier moment may be missed for `sweepMs`: a database that keeps deleted rows
   * for a while begins a scan near the first entry that it knows of.
   */
  scan(request: ScanRequest): Promise<ScanAnswer>;
  /** How many entries there are up to the bound; above `max`: `max`. */
  count(request: {
    readonly shelf: Shelf;
    readonly bound?: number;
    readonly max: number;
  }): Promise<number>;
}

export interface DriverLimits {
  readonly bodyBytesMax: number;
  readonly partBytesMax: number;
  readonly changeRowsMax: number;
  /** See Shelves.scan. */
  readonly lateMs: number;
  readonly sweepMs: number;
}

/** Documents, and what a copy of a store asks of them. */
export type DriverDocuments = DocumentStore &
  Pick<TransferStore, "documentKinds" | "restoreDocument">;

export interface RecordsDriver {
  readonly name: string;
  /** What an acknowledged write survives; one sentence, shown at /health/ready. */
  readonly durability: string;
  readonly partitions: number;
  readonly limits: DriverLimits;
  readonly aggregates: Aggregates;
  readonly shelves: Shelves;
  readonly documents: DriverDocuments;
  readonly servers: Pick<
    ServerStore,
    "beatServer" | "listServers" | "leaveServer" | "format" | "raiseFormat"
  >;
  timeOffset?(): number;
  complaint?(): string | undefined;
  close(): Promise<void>;
}
