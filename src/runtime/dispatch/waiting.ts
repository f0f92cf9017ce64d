/** What the store holds in queues that are hinted here to hold something. */
import type { Store } from "../../store/store.ts";
import type { Dispatcher } from "./dispatcher.ts";

interface WaitingOptions {
  readonly store: Store;
  readonly dispatcher: Pick<Dispatcher, "unhintAll" | "hint">;
}

export interface Waiting {
  queued: number;
  leased: number;
  oldestAt: number;
  /** Of the oldest task. */
  partition: number;
}

/** Of these queues those that hold claimable tasks; hints of the others were wrong and are dropped. */
export async function waitingIn(
  options: WaitingOptions,
  queues: ReadonlySet<string>,
): Promise<ReadonlyMap<string, Waiting>> {
  const { store } = options;
  const waiting = await claimableIn(options, queues);
  for (let partition = 0; partition < store.partitions && waiting.size > 0; partition++) {
    for (const { queue, queued, leased, oldestAt } of await store.queueStats({ partition })) {
      const found = waiting.get(queue);
      if (found === undefined) continue;
      found.queued += queued;
      found.leased += leased;
      if (oldestAt === undefined || oldestAt >= found.oldestAt) continue;
      found.oldestAt = oldestAt;
      found.partition = partition;
    }
  }
  return waiting;
}

async function claimableIn(
  { store, dispatcher }: WaitingOptions,
  queues: ReadonlySet<string>,
): Promise<Map<string, Waiting>> {
  const waiting = new Map<string, Waiting>();
  // Before the look: what is added while it is under way must be hinted anew.
  const hinted = [...queues].map((queue) => ({ queue, partitions: dispatcher.unhintAll(queue) }));
  try {
    for (let partition = 0; partition < store.partitions; partition++) {
      for (const queue of await store.queueHints({ partition })) {
        if (!queues.has(queue)) continue;
        dispatcher.hint(partition, queue);
        const oldestAt = Number.POSITIVE_INFINITY;
        waiting.set(queue, { queued: 0, leased: 0, oldestAt, partition });
      }
    }
  } catch (error) {
    for (const { queue, partitions } of hinted) {
      for (const partition of partitions) dispatcher.hint(partition, queue);
    }
    throw error;
  }
  return waiting;
}
