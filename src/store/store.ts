/**
 * The store contract: about twenty atomic operations, without knowledge of workflows.
 *
 * - Ids, tokens, seeds and `now` are arguments; a store never makes one and never reads a clock.
 * - Expected outcomes are returned. Only lost infrastructure throws, always a StoreFault, which says
 *   whether the operation was `not_applied` or its outcome is `unknown`.
 * - A call repeated with the same ids returns what the first did.
 * - Checks come first, then all writes: an operation happens wholly or not at all.
 * - `state`, `header`, `parameters`, `body` and fields of data are opaque text.
 * - Every operation touches one partition (documents, servers and pressure: none), so that
 *   it can be one script on one node. Sizes are bounded by limits.ts.
 *
 * Sketched before an operation is added: DynamoDB (a transaction of 100 items, 400 kB an item) and
 * Cassandra (a conditional batch in one partition) must be able to do it.
 */
import type { NewMessage, NewTask, NewTimer } from "../model/decision.ts";
import type { ExecutionStatus } from "../model/execution.ts";
import type { ExecutionKey } from "../model/ids.ts";
import type { JsonText } from "../model/json.ts";

/** Compared as a pair: a counter alone is unsafe after a failover or a re-create. */
export interface Head {
  readonly revision: number;
  readonly commitId: string;
}

/** Thrown when the infrastructure fails, never for an expected outcome. */
export class StoreFault extends Error {
  override readonly name = "StoreFault";
  readonly outcome: "not_applied" | "unknown";
  /** `exhausted`: no room (disk full, memory limit); `unavailable`: anything else. */
  readonly reason: "unavailable" | "exhausted";

  constructor(
    outcome: "not_applied" | "unknown",
    message: string,
    options: { reason?: "unavailable" | "exhausted"; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.outcome = outcome;
    this.reason = options.reason ?? "unavailable";
  }
}

/** How a call ended that threw this, as it is counted. */
export function faultOutcome(error: unknown): string {
  return error instanceof StoreFault ? error.outcome : "error";
}

/** What lists show of an execution; fixed at creation but for `status` and `endedAt`. */
export interface Listing {
  readonly id: string;
  readonly workflow: string;
  readonly version: number;
  readonly status: ExecutionStatus;
  readonly startedAt: number;
  readonly endedAt?: number;
  readonly correlationId?: string;
}

/** A lease given in the same commit that adds the task: a direct hand-off to a waiting poller. */
export interface HandOff {
  readonly token: string;
  readonly workerId: string;
  readonly leaseUntil: number;
  /** End of the attempt; no extension passes it. */
  readonly deadline: number;
}

export interface StoreEffects {
  /** One whose id exists is replaced; so is a message. */
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
  /** Leases that must still be held with exactly this token; the tasks are removed. */
  readonly settle: readonly { readonly taskId: string; readonly token: string }[];
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

export interface LeasedTask {
  readonly key: ExecutionKey;
  readonly id: string;
  readonly queue: string;
  readonly token: string;
  readonly leasedAt: number;
  readonly leaseUntil: number;
  readonly deadline: number;
  readonly heartbeatMs: number;
  readonly header: JsonText;
  readonly parameters: JsonText;
}

export interface ClaimTasksRequest {
  readonly partition: number;
  /** Searched in this order; within a queue: higher priority first, then older first. */
  readonly queues: readonly { readonly name: string; readonly limit: number }[];
  /** At most this many in all. */
  readonly limit: number;
  /** Made by `tokenPrefix`; the token of each task is `formatToken(prefix, task id)`. */
  readonly tokenPrefix: string;
  readonly workerId: string;
  /** Longest silence for tasks that name none; 0: the worker does not heartbeat. */
  readonly heartbeatMs: number;
  readonly now: number;
}

export interface ClaimTasksAnswer {
  readonly tasks: readonly LeasedTask[];
  /** Those of the requested queues that still hold claimable tasks. */
  readonly more: readonly string[];
}

export type ExtendAnswer =
  | { readonly outcome: "extended"; readonly leaseUntil: number }
  /** The task was dropped while leased: its worker should stop. */
  | { readonly outcome: "cancelled" }
  | { readonly outcome: "stale" };

export interface ClaimDueRequest {
  readonly partition: number;
  readonly claimId: string;
  readonly limit: number;
  /** How long what is given is hidden from other claims. */
  readonly hideMs: number;
  readonly now: number;
}

export type DueItem =
  | { readonly kind: "timer"; readonly key: ExecutionKey; readonly id: string; readonly at: number }
  | {
      readonly kind: "lease";
      readonly key: ExecutionKey;
      readonly taskId: string;
      readonly token: string;
      readonly workerId: string;
      readonly leaseUntil: number;
      readonly deadline: number;
    }
  | {
      readonly kind: "queue";
      readonly key: ExecutionKey;
      readonly taskId: string;
      readonly queueUntil: number;
    };

export interface ClaimDueAnswer {
  readonly items: readonly DueItem[];
  /**
   * When to claim from the partition again: the earliest moment of what was not given, or, where a
   * store would have to look at very much for that, an earlier one.
   */
  readonly nextDue?: number;
}

/** A timer's place among those of its partition; ties of `due` go by execution, then by timer. */
export interface TimerPlace {
  readonly key: ExecutionKey;
  readonly id: string;
  /** When claimDue gives it, hiding included. */
  readonly due: number;
}

export interface OutboxMessage extends NewMessage {
  readonly key: ExecutionKey;
  /** How often it has been claimed, this time included. */
  readonly deliveries: number;
}

export interface TaskView {
  readonly id: string;
  readonly queue: string;
  readonly state: "queued" | "leased";
  readonly workerId?: string;
  /** Of a leased task. */
  readonly token?: string;
  readonly leaseUntil?: number;
}

/** What an execution owns in the store: for reads, and for the invariant checker. */
export interface Holdings {
  readonly tasks: readonly TaskView[];
  readonly timers: readonly NewTimer[];
  readonly messages: readonly string[];
}

/** A place in lists, which begin with the newest start; those of one moment go by id, downwards. */
export interface ListPlace {
  readonly startedAt: number;
  readonly id: string;
}

/** What is listed equals all that is given here. */
export interface ListFilter {
  readonly workflow?: string;
  readonly status?: ExecutionStatus;
  readonly correlationId?: string;
  /** Only what was started later. */
  readonly startedAfter?: number;
}

export interface ListRequest extends ListFilter {
  readonly partition: number;
  readonly after?: ListPlace;
  readonly limit: number;
  /**
   * How many executions are looked at, where no index holds exactly those that are wanted; absent,
   * or less than `limit`: as many as `limit`.
   */
  readonly lookMax?: number;
}

export interface ListAnswer {
  readonly items: readonly Listing[];
  /** Executions that were looked at. */
  readonly looked: number;
  /** The place up to which was looked: the list goes on after it. Absent: nothing follows. */
  readonly reached?: ListPlace;
}

export interface QueueStats {
  readonly queue: string;
  readonly queued: number;
  readonly leased: number;
  /** When the oldest queued task was queued. */
  readonly oldestAt?: number;
}

/** Definitions, actions, schedules, keys: small, named, versioned for optimistic writes. */
export interface Document {
  readonly id: string;
  readonly version: number;
  readonly body: JsonText;
}

export type PutAnswer =
  | { readonly outcome: "saved"; readonly version: number }
  | { readonly outcome: "conflict"; readonly version: number };

export interface Traits {
  readonly name: string;
  /** What an acknowledged write survives; one sentence, shown at /health/ready. */
  readonly durability: string;
  /** Whether other servers can share this store. */
  readonly shared: boolean;
  /** Share of its room (see `pressure`) above which nothing new is to be started. */
  readonly usedMax: number;
}

export interface Pressure {
  /** Share of the store's room in use, 0 to 1 or more, where it has a bound; 0 otherwise. */
  readonly used: number;
  /** How many tombstones are part of it; approximate, or absent, where it cannot count them. */
  readonly tombstones?: number;
  /** Bytes that new executions may still take; absent: only the share is known. */
  readonly left?: number;
  /** False: what is full is not what removed executions would make room in. */
  readonly removalHelps?: boolean;
}

export interface Store {
  readonly traits: Traits;
  /** Fixed when the namespace was created. */
  readonly partitions: number;

  create(request: CreateRequest): Promise<CreateAnswer>;
  load(request: LoadRequest): Promise<LoadAnswer>;
  commit(request: CommitRequest): Promise<CommitAnswer>;

  /**
   * Repeated with its prefix: what is still leased under it, and nothing else, so that no token comes
   * to life again after a release. A claim that found nothing may be made again.
   */
  claimTasks(request: ClaimTasksRequest): Promise<ClaimTasksAnswer>;
  /**
   * By ticket, for external queues and limits: this one task, if it is queued and not held, and was
   * not released from under this prefix.
   */
  claimTask(request: {
    readonly key: ExecutionKey;
    readonly taskId: string;
    readonly tokenPrefix: string;
    readonly workerId: string;
    readonly heartbeatMs: number;
    readonly now: number;
  }): Promise<LeasedTask | undefined>;
  /**
   * Never shortens; never passes the deadline; later than `lateMs` after the lease's end: stale. One
   * partition.
   */
  extendLeases(request: {
    readonly partition: number;
    readonly leases: readonly {
      readonly key: ExecutionKey;
      readonly taskId: string;
      readonly token: string;
      readonly until: number;
    }[];
    readonly now: number;
    /** Absent: 0. */
    readonly lateMs?: number;
  }): Promise<readonly ExtendAnswer[]>;
  /**
   * Back to the place of their adding, no attempt burnt. Others' tokens: `stale`; a repeat is
   * `released` until the task is leased again.
   */
  releaseTasks(request: {
    readonly partition: number;
    readonly tasks: readonly {
      readonly key: ExecutionKey;
      readonly taskId: string;
      readonly token: string;
    }[];
    readonly now: number;
  }): Promise<readonly ("released" | "stale")[]>;

  /** Repeated with its claim id: what is still under it, if anything is, and nothing else. */
  claimDue(request: ClaimDueRequest): Promise<ClaimDueAnswer>;
  /** In the order of their moments, due or not, after the given one; nothing is claimed. */
  listTimers(request: {
    readonly partition: number;
    readonly after?: TimerPlace;
    readonly limit: number;
  }): Promise<readonly TimerPlace[]>;
  /** In order per source: a hidden message holds back what its source sent after it. */
  claimOutbox(request: ClaimDueRequest): Promise<{
    readonly messages: readonly OutboxMessage[];
    readonly nextDue?: number;
  }>;
  /** Messages that were delivered; unknown ids are ignored. */
  ackOutbox(request: {
    readonly partition: number;
    readonly messages: readonly { readonly key: ExecutionKey; readonly id: string }[];
  }): Promise<void>;

  /**
   * In chunks: `more` means call again. A tombstone stays until `tombstoneUntil`; with
   * `keepStart` it holds what `create` returns as `kept`. The first call of a removal decides both.
   * Ended tombstones are purged at least as fast as calls of this make new ones.
   */
  remove(request: {
    readonly key: ExecutionKey;
    readonly expected: Head;
    readonly tombstoneUntil: number;
    readonly keepStart?: boolean;
    readonly now: number;
  }): Promise<"removed" | "more" | "conflict" | "not_found">;

  holdings(key: ExecutionKey): Promise<Holdings>;
  /** Newest first. The store takes the index that holds the fewest, and passes over the rest of it. */
  list(request: ListRequest): Promise<ListAnswer>;
  /**
   * Goes on with entering executions into indexes that were added after them, at most `limit` of a
   * partition; lists take other indexes until it is done. To be called once no server is left that
   * changes executions without these indexes. With `limit` 0 it begins anew at the next call, if the
   * store is shared. Absent: all indexes are whole.
   */
  indexExecutions?(request: {
    readonly partition: number;
    readonly limit: number;
  }): Promise<"done" | "more">;
  /** Entries with a sequence (from 1) above `after`. */
  history(request: {
    readonly key: ExecutionKey;
    readonly after: number;
    readonly limit: number;
  }): Promise<readonly JsonText[]>;
  /** Of one queue, or of all that hold something. */
  queueStats(request: {
    readonly partition: number;
    readonly queue?: string;
  }): Promise<readonly QueueStats[]>;
  /** Queues with claimable tasks: the hints of a server that starts. */
  queueHints(request: { readonly partition: number }): Promise<readonly string[]>;
  pressure(): Promise<Pressure>;

  /**
   * Documents: `expectedVersion` 0 means that it must not exist; versions count from 1. A put that
   * finds its own result, version and body, returns `saved` again.
   */
  getDocument(request: {
    readonly kind: string;
    readonly id: string;
  }): Promise<Document | undefined>;
  putDocument(request: {
    readonly kind: string;
    readonly id: string;
    readonly body: JsonText;
    readonly expectedVersion: number;
  }): Promise<PutAnswer>;
  /** In order of id, those that begin with `prefix`, after the given id. */
  listDocuments(request: {
    readonly kind: string;
    readonly prefix?: string;
    readonly after?: string;
    readonly limit: number;
  }): Promise<readonly Document[]>;
  deleteDocument(request: { readonly kind: string; readonly id: string }): Promise<boolean>;

  /** The registry of live servers. */
  beatServer(request: {
    readonly id: string;
    readonly body: JsonText;
    readonly now: number;
    readonly ttlMs: number;
  }): Promise<void>;
  listServers(request: {
    readonly now: number;
  }): Promise<readonly { readonly id: string; readonly body: JsonText }[]>;
  leaveServer(request: { readonly id: string }): Promise<void>;

  /**
   * The format in which records are to be written (model/format.ts), as last heard; servers that do
   * not read it refuse to start. Absent: no other server shares the store, and it is this server's.
   */
  format?(): number;
  /** Raises it to at least this one, permanently; returns the one in force. */
  raiseFormat?(format: number): Promise<number>;

  /**
   * How far the store's clock is ahead of this process's, in milliseconds: a server adds it to its
   * own, so that all servers agree on `now`. Absent: the store has no separate clock.
   */
  timeOffset?(): number;
  /** A condition that an operator should mend, in a sentence or two; undefined: none. */
  complaint?(): string | undefined;
  /** Where the store has no separate clock: the latest `now` that it was given before. */
  readonly timeReached?: number;
  /** Why it refuses everything until it is opened anew; undefined: it does not. */
  broken?(): string | undefined;
  /** Length of its write-ahead log, as far as it has to be kept; absent: it has none. */
  logBytes?(): number;
  /**
   * Calls back when another server may have put something claimable into a queue. Only a hint: one
   * that is lost costs a sweep. Resolves when it listens, or cannot. Absent: the store has no other
   * servers.
   */
  onWake?(
    listener: (partition: number, queue: string) => void,
    onNote?: (partition: number, text: string) => void,
  ): Promise<void>;
  /** To all servers that listen, this one among them. Notes may be lost. */
  sendNote?(partition: number, text: string): Promise<void>;

  /** Finishes what is under way and lets go of files and connections. */
  close(): Promise<void>;
}
