/** Counts of a queue, put together from those of its partitions or parts. */
import { defined } from "../../base/defined.ts";
import type { QueueStats } from "../store.ts";

export type QueueCounts = Omit<QueueStats, "queue">;

export const noTasks: QueueCounts = { queued: 0, leased: 0 };

export function sumOf(one: QueueCounts, other: QueueCounts): QueueCounts {
  return {
    queued: one.queued + other.queued,
    leased: one.leased + other.leased,
    ...defined({
      oldestAt: earliest(one.oldestAt, other.oldestAt),
      atLeast: one.atLeast ?? other.atLeast,
    }),
  };
}

function earliest(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined) return b;
  return b === undefined ? a : Math.min(a, b);
}
