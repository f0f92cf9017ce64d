/**
 * The facet of tasks: queued ones are claimed under a lease, leases are extended and released. What
 * each of these means for a task stands in ../kit/task-life.ts. Tasks are added and ended by commits.
 */
import type { ExecutionKey } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";

/** A lease given in the same commit that adds the task: a direct hand-off to a waiting poller. */
export interface HandOff {
  readonly token: string;
  readonly workerId: string;
  readonly leaseUntil: number;
  /** End of the attempt; no extension passes it. */
  readonly deadline: number;
}

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

/** Whoever claims: the lease is theirs. */
export interface Claimant {
  /** Made by `tokenPrefix`; the token of each task is `formatToken(prefix, task id)`. */
  readonly tokenPrefix: string;
  readonly workerId: string;
  /** Longest silence for tasks that name none; 0: the worker does not heartbeat. */
  readonly heartbeatMs: number;
  readonly now: number;
}

export interface ClaimTasksRequest extends Claimant {
  readonly partition: number;
  /** Searched in this order; within a queue: higher priority first, then older first. */
  readonly queues: readonly { readonly name: string; readonly limit: number }[];
  /** At most this many in all. */
  readonly limit: number;
}

export interface ClaimTasksAnswer {
  readonly tasks: readonly LeasedTask[];
  /** Those of the requested queues that still hold claimable tasks. */
  readonly more: readonly string[];
}

export interface TaskPlace {
  readonly key: ExecutionKey;
  readonly taskId: string;
}

export interface ClaimTaskRequest extends Claimant, TaskPlace {}

export type ClaimTaskAnswer =
  | { readonly outcome: "claimed"; readonly task: LeasedTask }
  /** Under another prefix; past its end until somebody has expired it. */
  | { readonly outcome: "leased"; readonly leaseUntil: number }
  /** Queued, and its execution is held. */
  | { readonly outcome: "held" }
  /** There is no such task (any more), or it was released from under this prefix. */
  | { readonly outcome: "unknown" };

/** A task as it is stored, whoever holds it. */
export interface StoredTask {
  readonly queue: string;
  readonly state: "queued" | "leased";
  /** End of the lease; or of the wait in the queue, absent where it has none or stands still. */
  readonly until?: number;
  readonly timeoutMs: number;
  readonly header: JsonText;
  readonly parameters: JsonText;
}

/** A task that the caller believes to hold. */
export interface HeldLease extends TaskPlace {
  readonly token: string;
}

export interface ExtendRequest {
  readonly partition: number;
  readonly leases: readonly (HeldLease & { readonly until: number })[];
  readonly now: number;
  /** An extension that comes so much later than the end of its lease still counts; absent: 0. */
  readonly lateMs?: number;
}

export type ExtendAnswer =
  | { readonly outcome: "extended"; readonly leaseUntil: number }
  /** The task was dropped while leased: its worker should stop. */
  | { readonly outcome: "cancelled" }
  | { readonly outcome: "stale" };

export interface ReleaseRequest {
  readonly partition: number;
  readonly tasks: readonly HeldLease[];
  readonly now: number;
}

export type ReleaseAnswer = "released" | "stale";

export interface TaskView {
  readonly id: string;
  readonly queue: string;
  readonly state: "queued" | "leased";
  readonly workerId?: string;
  /** Of a leased task. */
  readonly token?: string;
  readonly leaseUntil?: number;
}

export interface QueueStats {
  readonly queue: string;
  readonly queued: number;
  /** Absent: the store does not count them. See `Traits.countsLeased`. */
  readonly leased?: number;
  /** When the oldest queued task was queued. */
  readonly oldestAt?: number;
  /** There are at least so many: the store counts no further. See `Traits.countsExact`. */
  readonly atLeast?: true;
}

export interface QueueStatsRequest {
  readonly partition: number;
  /** Absent: all that hold something. */
  readonly queue?: string;
}

export interface TaskStore {
  /**
   * Repeated with its prefix: what is still leased under it, and nothing else, so that no token comes
   * to life again after a release. A claim that found nothing may be made again.
   */
  claimTasks(request: ClaimTasksRequest): Promise<ClaimTasksAnswer>;
  /**
   * By ticket, for external queues and deliveries: this one task, if it is queued and not held. A
   * repeat with the prefix is `claimed` with the same lease while that holds.
   */
  claimTask(request: ClaimTaskRequest): Promise<ClaimTaskAnswer>;
  /** What a ticket is of; undefined: there is no such task (any more). */
  readTask(request: TaskPlace): Promise<StoredTask | undefined>;
  /**
   * Never shortens; never passes the deadline; later than `lateMs` after the lease's end: stale. One
   * partition.
   */
  extendLeases(request: ExtendRequest): Promise<readonly ExtendAnswer[]>;
  /**
   * Back to the place of their adding, no attempt burnt. Others' tokens: `stale`; a repeat is
   * `released` until the task is leased again.
   */
  releaseTasks(request: ReleaseRequest): Promise<readonly ReleaseAnswer[]>;
  queueStats(request: QueueStatsRequest): Promise<readonly QueueStats[]>;
  /** Queues with claimable tasks: the hints of a server that starts. */
  queueHints(request: { readonly partition: number }): Promise<readonly string[]>;
}
