/**
 * The facet of what is due: timers, ends of leases, and ends of waits in a queue. A claim hides what
 * it gives; the commit that consumes a timer, or expires a task, removes it.
 */
import type { ExecutionKey } from "../../model/ids.ts";

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

export interface ListTimersRequest {
  readonly partition: number;
  readonly after?: TimerPlace;
  readonly limit: number;
}

export interface DueStore {
  /** Repeated with its claim id: what is still under it, if anything is, and nothing else. */
  claimDue(request: ClaimDueRequest): Promise<ClaimDueAnswer>;
  /**
   * In the order of their moments, due or not, after the given one; nothing is claimed. Absent: the
   * store is shared, and has no bound of room in which removals would have to make place.
   */
  listTimers?(request: ListTimersRequest): Promise<readonly TimerPlace[]>;
}
