/** Counts of a queue, put together from those of its partitions or parts. */
import { defined } from "../../base/defined.ts";
import type { QueueStats, Traits } from "../store.ts";
import { earliest } from "./due.ts";

export type QueueCounts = Omit<QueueStats, "queue">;

/** Of a queue that the store does not list. */
export function noTasks({ countsLeased }: Pick<Traits, "countsLeased">): QueueCounts {
  return countsLeased ? { queued: 0, leased: 0 } : { queued: 0 };
}

/** How many are leased is known only where it is known of both. */
export function sumOf(one: QueueCounts, other: QueueCounts): QueueCounts {
  return {
    queued: one.queued + other.queued,
    ...defined({
      leased: sum(one.leased, other.leased),
      oldestAt: earliest([one.oldestAt, other.oldestAt]),
      atLeast: one.atLeast ?? other.atLeast,
    }),
  };
}

function sum(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a + b;
}
