/** What the store holds in queues that are hinted here to hold something. */
import { noTasks, type QueueCounts, sumOf } from "../../store/kit/queue-counts.ts";
import type { Store } from "../../store/store.ts";
import type { Dispatcher } from "./dispatcher.ts";

interface WaitingOptions {
  readonly store: Store;
  readonly dispatcher: Pick<Dispatcher, "unhintAll" | "hint">;
}

export interface Waiting extends QueueCounts {
  readonly oldestAt: number;
  /** Of the oldest task. */
  readonly partition: number;
}

/** Of these queues those that hold claimable tasks; hints of the others were wrong and are dropped. */
export async function waitingIn(
  options: WaitingOptions,
  queues: ReadonlySet<string>,
): Promise<ReadonlyMap<string, Waiting>> {
  const { store } = options;
  const waiting = await claimableIn(options, queues);
  for (let partition = 0; partition < store.partitions && waiting.size > 0; partition++) {
    for (const { queue, ...counts } of await store.queueStats({ partition })) {
      const found = waiting.get(queue);
      const { oldestAt = Number.POSITIVE_INFINITY } = counts;
      if (found !== undefined)
        waiting.set(queue, merged(found, { ...counts, oldestAt, partition }));
    }
  }
  return waiting;
}

export function merged(one: Waiting, other: Waiting): Waiting {
  const { oldestAt, partition } = one.oldestAt <= other.oldestAt ? one : other;
  return { ...sumOf(one, other), oldestAt, partition };
}

async function claimableIn(
  { store, dispatcher }: WaitingOptions,
  queues: ReadonlySet<string>,
): Promise<Map<string, Waiting>> {
  const none = noTasks(store.traits);
  const waiting = new Map<string, Waiting>();
  // Before the look: what is added while it is under way must be hinted anew.
  const hinted = [...queues].map((queue) => ({ queue, partitions: dispatcher.unhintAll(queue) }));
  try {
    for (let partition = 0; partition < store.partitions; partition++) {
      for (const queue of await store.queueHints({ partition })) {
        if (!queues.has(queue)) continue;
        dispatcher.hint(partition, queue);
        waiting.set(queue, { ...none, oldestAt: Number.POSITIVE_INFINITY, partition });
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
