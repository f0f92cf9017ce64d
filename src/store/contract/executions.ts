/**
 * The facet of executions: they are created, loaded, committed and removed. A commit is one atomic
 * operation on one execution and everything it owns: fields, history, tasks, timers, messages.
 */
import type { NewMessage, NewTask, NewTimer } from "../../model/decision.ts";
import type { ExecutionStatus } from "../../model/execution.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import type { Listing } from "./lists.ts";
import type { HandOff, TaskView } from "./tasks.ts";

/** Compared as a pair: a counter alone is unsafe after a failover or a re-create. */
export interface Head {
  readonly revision: number;
  readonly commitId: string;
}

export interface StoreEffects {
  /** A task whose id exists is replaced; so is a message. */
  readonly tasks: readonly (NewTask & { readonly lease?: HandOff })[];
  /** Removed from the queue or their lease; a leased one leaves a tombstone until its lease ends. */
  readonly dropTasks: readonly string[];
  /** A timer whose id exists already is moved to the new moment and loses its claim. */
  readonly timers: readonly NewTimer[];
  readonly dropTimers: readonly string[];
  readonly messages: readonly NewMessage[];
  /** Entries appended to the history, in order. */
  readonly history: readonly JsonText[];
}

export interface CreateRequest {
  readonly key: ExecutionKey;
  readonly commitId: string;
  /** Hash of the start request, compared by callers when the execution exists. */
  readonly requestHash?: string;
  readonly listing: Listing;
  readonly state: JsonText;
  readonly data: ReadonlyMap<string, JsonText>;
  readonly effects: StoreEffects;
  readonly now: number;
}

export type CreateAnswer =
  | { readonly outcome: "created"; readonly head: Head }
  /** Another call created it; a repeat of the creating call returns `created`. */
  | {
      readonly outcome: "exists";
      readonly head: Head;
      readonly status: ExecutionStatus;
      readonly requestHash?: string;
    }
  | {
      readonly outcome: "tombstone";
      /** Absent: the removal did not keep it, or the creation named no hash. */
      readonly kept?: KeptStart;
    };

/** What a tombstone keeps of an execution, for a start that is repeated after the removal. */
export interface KeptStart {
  /** The first limits.keptHashChars characters of it. */
  readonly requestHash: string;
  readonly status: ExecutionStatus;
  readonly endedAt?: number;
}

export interface LoadRequest {
  readonly key: ExecutionKey;
  /** Names of the fields wanted; absent: all of them. */
  readonly fields?: readonly string[];
  /**
   * For a read after an unknown outcome: what the call in question wrote is seen, or never comes to
   * be. A plain read sees all acknowledged writes, and may miss one whose outcome is unknown.
   * Stores whose plain reads are sure do not look at it.
   */
  readonly sure?: boolean;
}

export type LoadAnswer =
  | {
      readonly outcome: "loaded";
      readonly head: Head;
      readonly recentCommitIds: readonly string[];
      readonly status: ExecutionStatus;
      readonly held: boolean;
      readonly state: JsonText;
      readonly data: ReadonlyMap<string, JsonText>;
    }
  | { readonly outcome: "not_found" }
  | { readonly outcome: "tombstone" };

export interface CommitRequest {
  readonly key: ExecutionKey;
  readonly expected: Head;
  readonly commitId: string;
  readonly state: JsonText;
  readonly status: ExecutionStatus;
  readonly endedAt?: number;
  /**
   * True: none of the execution's queued tasks is handed out, and their queue timeouts stand still.
   * False: they are claimable again and the timeouts go on. Absent: as before. The timeouts stand
   * still while a task is leased, too: they count only the time in which it is on offer.
   */
  readonly hold?: boolean;
  /** Fields to write; null deletes. */
  readonly data: ReadonlyMap<string, JsonText | null>;
  /**
   * Leases that must still be held with exactly this token; the tasks are removed. Token null: the
   * task is on offer, which is queued in an execution that is not held.
   */
  readonly settle: readonly { readonly taskId: string; readonly token: string | null }[];
  /**
   * Tasks that ran out of time; removed. The token (null: the task is queued) and the moment must
   * be as they were seen: a heartbeat, a hand-out or a release in between makes it stale.
   */
  readonly expire: readonly {
    readonly taskId: string;
    readonly token: string | null;
    readonly until: number;
  }[];
  /** Timers that must exist under exactly this claim; removed. */
  readonly consumeTimers: readonly { readonly id: string; readonly claimId: string }[];
  readonly effects: StoreEffects;
  readonly now: number;
}

export type CommitAnswer =
  | { readonly outcome: "committed"; readonly head: Head }
  /** This commit id is among the last limits.commitIdsKept: it was applied before. */
  | { readonly outcome: "already_committed"; readonly head: Head }
  | { readonly outcome: "conflict"; readonly head: Head }
  /** The head matched, but these were not as expected; nothing was applied. */
  | {
      readonly outcome: "stale";
      readonly tasks: readonly string[];
      readonly timers: readonly string[];
    }
  | { readonly outcome: "not_found" };

export interface RemoveRequest {
  readonly key: ExecutionKey;
  readonly expected: Head;
  readonly tombstoneUntil: number;
  /** The tombstone holds what `create` returns as `kept`. */
  readonly keepStart?: boolean;
  readonly now: number;
}

export type RemoveAnswer = "removed" | "more" | "conflict" | "not_found";

/** What an execution owns in the store: for reads, and for the invariant checker. */
export interface Holdings {
  readonly tasks: readonly TaskView[];
  readonly timers: readonly NewTimer[];
  readonly messages: readonly string[];
}

export interface HistoryRequest {
  readonly key: ExecutionKey;
  readonly after: number;
  readonly limit: number;
}

export interface ExecutionStore {
  create(request: CreateRequest): Promise<CreateAnswer>;
  load(request: LoadRequest): Promise<LoadAnswer>;
  commit(request: CommitRequest): Promise<CommitAnswer>;

  /**
   * In chunks: `more` means call again. A tombstone stays until `tombstoneUntil`. The first
   * call of a removal decides that, and what is kept. Ended tombstones are purged at least as fast
   * as calls of this make new ones.
   */
  remove(request: RemoveRequest): Promise<RemoveAnswer>;

  holdings(key: ExecutionKey): Promise<Holdings>;
  /** Entries with a sequence (from 1) above `after`. */
  history(request: HistoryRequest): Promise<readonly JsonText[]>;
}
