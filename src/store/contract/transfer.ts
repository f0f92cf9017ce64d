/**
 * The facet of transfers: everything that a store holds, to be written to another one while no server
 * runs on either. Nothing here is atomic, and all of it may be repeated.
 *
 * Not part of it: claims of timers and messages (what was claimed is due again), live servers.
 */
import type { NewTask, NewTimer } from "../../model/decision.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import type { Document } from "./documents.ts";
import type { Head, KeptStart } from "./executions.ts";
import type { Listing } from "./lists.ts";

/** What an execution is, or the tombstone that a removal has left. */
export type DumpedHead =
  | {
      readonly kind: "execution";
      readonly head: Head;
      /** Oldest first, as far as they are stored: at least the head's. */
      readonly recentCommitIds: readonly string[];
      /** Commit id of the creation. */
      readonly createdBy: string;
      readonly requestHash?: string;
      readonly listing: Listing;
      readonly held: boolean;
      readonly state: JsonText;
    }
  | {
      readonly kind: "tombstone";
      readonly head: Head;
      readonly until: number;
      readonly kept?: KeptStart;
    };

export interface DumpedTask extends Omit<NewTask, "queueTimeoutMs"> {
  readonly queuedAt: number;
  /** `dropped`: while leased; kept until its lease would have ended. */
  readonly state: "queued" | "leased" | "dropped";
  /** End of the lease; or of the wait in the queue, null where that has none or stands still. */
  readonly until: number | null;
  /** What is left of the queue timeout while it stands still; null: it has none. */
  readonly queueLeft: number | null;
  /** Of a queued task: the lease that was released last, if any. */
  readonly lease:
    | {
        readonly token: string;
        readonly workerId: string;
        readonly leasedAt: number;
        readonly deadline: number;
      }
    | undefined;
}

export interface DumpedMessage {
  readonly id: string;
  readonly body: JsonText;
  readonly deliveries: number;
}

/** What an execution owns, or a piece of that: large ones come in several, one after the other. */
export interface ExecutionDump {
  readonly id: string;
  /** Of the first piece. */
  readonly first?: DumpedHead;
  readonly fields: readonly (readonly [name: string, value: JsonText])[];
  readonly history: Numbered<JsonText>;
  /** In the order of their adding. */
  readonly tasks: Numbered<DumpedTask>;
  readonly timers: readonly NewTimer[];
  /** In the order of sending. */
  readonly messages: readonly DumpedMessage[];
}

/** Those of one piece. */
interface Numbered<Item> {
  /** How many came in the pieces before. */
  readonly after: number;
  readonly items: readonly Item[];
}

export interface DumpRequest {
  readonly partition: number;
  /** Absent: from the beginning. */
  readonly after?: string;
  /** Most executions that the answer begins. */
  readonly limit: number;
}

export interface DumpAnswer {
  /** In order of id; those of one execution follow on each other. Some 1 MiB, or one large row. */
  readonly pieces: readonly ExecutionDump[];
  /** To go on with, also after a restart; absent: nothing follows. */
  readonly next?: string;
}

export interface RestoreRequest {
  /** The partition is this store's; the dump may be from one with another number of them. */
  readonly key: ExecutionKey;
  readonly piece: ExecutionDump;
  readonly now: number;
}

export interface RestoreDocumentRequest {
  readonly kind: string;
  readonly document: Document;
}

export interface TransferStore {
  /** Kinds of which there are documents, in order. */
  documentKinds(): Promise<readonly string[]>;
  /** Writes the document as it is, its version too. */
  restoreDocument(request: RestoreDocumentRequest): Promise<void>;
  dump(request: DumpRequest): Promise<DumpAnswer>;
  /**
   * Pieces of an execution come in their order, the first one again after an interruption, too.
   * Queued tasks are ordered by `queuedAt`, those of one moment and execution as they come, and
   * come before all that is added later. A tombstone that has ended is not restored.
   */
  restore(request: RestoreRequest): Promise<void>;
}
