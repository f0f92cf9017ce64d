/**
 * The facet of lists: executions are found by workflow, status, correlation id and parent, newest
 * first.
 */
import type { ExecutionStatus } from "../../model/execution.ts";

/** What lists show of an execution; fixed at creation but for `status` and `endedAt`. */
export interface Listing {
  readonly id: string;
  readonly workflow: string;
  readonly version: number;
  readonly status: ExecutionStatus;
  readonly startedAt: number;
  readonly endedAt?: number;
  readonly correlationId?: string;
  /** Of a child: the id of its parent. */
  readonly parent?: string;
  /** Of a child that runs an inline definition. */
  readonly inline?: true;
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
  readonly parent?: string;
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

export interface ListStore {
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
}
