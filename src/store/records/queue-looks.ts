/** Looks into queues without claiming: what they hold, and which may be forgotten. */
import { defined } from "../../base/defined.ts";
import { inTurns } from "../kit/in-turns.ts";
import { compareText } from "../kit/order.ts";
import { type QueueCounts, sumOf } from "../kit/queue-counts.ts";
import type { QueueStats, QueueStatsRequest } from "../store.ts";
import type { Place, RecordsDriver } from "./driver.ts";
import { type QueueShelf, queueShelf, readHint } from "./hints.ts";
import type { QueueIndex } from "./queue-index.ts";

/** Queues that are looked into at the same time. */
const scansAtOnce = 32;
/** Counted at most. */
const countMax = 1_000;

export class QueueLooks {
  readonly #driver: RecordsDriver;
  readonly #index: QueueIndex;

  constructor(driver: RecordsDriver, index: QueueIndex) {
    this.#driver = driver;
    this.#index = index;
  }

  async stats({ partition, queue }: QueueStatsRequest): Promise<readonly QueueStats[]> {
    const shelves = await this.#shelves(partition, queue);
    const counted = await Promise.all(
      shelves.map(async (of) => {
        const shelf = queueShelf(partition, of);
        const { entries } = await this.#driver.shelves.scan({ shelf, limit: 1 });
        if (entries[0] === undefined) return [];
        const queued = await this.#driver.shelves.count({ shelf, max: countMax + 1 });
        const { since, place } = readHint(entries[0]);
        const oldestAt = since ?? place.at;
        const atLeast = queued > countMax ? (true as const) : undefined;
        const counts = { queued: Math.min(queued, countMax), oldestAt };
        return [{ queue: of.queue, ...counts, ...defined({ atLeast }) }];
      }),
    );
    const byQueue = Map.groupBy(counted.flat(), (one) => one.queue);
    return [...byQueue]
      .map(([name, some]) => ({ queue: name, ...some.reduce<QueueCounts>(sumOf, { queued: 0 }) }))
      .sort((a, b) => compareText(a.queue, b.queue));
  }

  async hints(partition: number, now: number): Promise<readonly string[]> {
    const shelves = await this.#shelves(partition);
    const first = await this.#firstOf(partition, shelves);
    const found = shelves.filter((_, i) => (first[i]?.at ?? Number.POSITIVE_INFINITY) <= now);
    await this.#forget(
      partition,
      shelves.filter((_, i) => first[i] === undefined),
      now,
    );
    return [...new Set(found.map(({ queue }) => queue))].sort(compareText);
  }

  /** Where the hints of each begin; undefined: it is empty. */
  async #firstOf(
    partition: number,
    shelves: readonly QueueShelf[],
  ): Promise<readonly (Place | undefined)[]> {
    return await inTurns(scansAtOnce, shelves, async (of) => {
      const request = { shelf: queueShelf(partition, of), limit: 1 };
      return (await this.#driver.shelves.scan(request)).entries[0]?.place;
    });
  }

  /** They are read once more: a hint that is moved to a later place may be missed while it is. */
  async #forget(partition: number, empty: readonly QueueShelf[], now: number): Promise<void> {
    const unused = this.#index.unused(partition, empty, now);
    const first = await this.#firstOf(
      partition,
      unused.map(({ queue }) => queue),
    );
    await this.#index.forget(
      partition,
      unused.filter((_, i) => first[i] === undefined),
    );
  }

  async #shelves(partition: number, queue?: string): Promise<readonly QueueShelf[]> {
    const queues = await this.#index.all(partition, 0);
    return [...queues]
      .filter(([name]) => queue === undefined || name === queue)
      .flatMap(([name, priorities]) => priorities.map((priority) => ({ queue: name, priority })));
  }
}
