/**
 * Which retentions end soonest, over some partitions: reads their timers in order, a page at a time,
 * and passes over all that are for something else.
 */
import { retentionTimer } from "../engine/end.ts";
import { limits } from "../limits.ts";
import type { Store, TimerPlace } from "../store/store.ts";

/** How far a partition was read, and what was found there and not asked for yet. */
interface Walk {
  found: TimerPlace[];
  after: TimerPlace | undefined;
  isOver: boolean;
}

export class RetentionEnds {
  readonly #store: Store;
  readonly #walks = new Map<number, Walk>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** The next timers in the order of their moments; none: all have been answered. */
  async next(partitions: readonly number[], count: number): Promise<readonly TimerPlace[]> {
    const walks = partitions.map((partition) => this.#walk(partition));
    await Promise.all(
      partitions.map((partition, i) => {
        const walk = walks[i] as Walk;
        return this.#read(partition, walk).catch(() => {
          // One that is away keeps the others from nothing; it is read anew after a reset.
          walk.isOver = true;
        });
      }),
    );
    const taken: TimerPlace[] = [];
    // What a partition goes on with, where all that was read is used up, may come before the others.
    while (taken.length < count && walks.every(({ found, isOver }) => isOver || found.length > 0)) {
      const timer = earliest(walks)?.found.shift();
      if (timer === undefined) break;
      taken.push(timer);
    }
    return taken;
  }

  /** Begins anew. */
  reset(): void {
    this.#walks.clear();
  }

  #walk(partition: number): Walk {
    const walk = this.#walks.get(partition) ?? { found: [], after: undefined, isOver: false };
    this.#walks.set(partition, walk);
    return walk;
  }

  /** Until something is found, or nothing is left. */
  async #read(partition: number, walk: Walk): Promise<void> {
    const limit = limits.timersListedMax;
    while (walk.found.length === 0 && !walk.isOver) {
      const { after } = walk;
      const page = await this.#store.listTimers({
        ...{ partition, limit },
        ...(after !== undefined && { after }),
      });
      walk.found = page.filter(({ id }) => id === retentionTimer);
      walk.isOver = page.length < limit;
      walk.after = page.at(-1) ?? after;
    }
  }
}

function earliest(walks: readonly Walk[]): Walk | undefined {
  let best: Walk | undefined;
  let soonest = Number.POSITIVE_INFINITY;
  for (const walk of walks) {
    const due = walk.found[0]?.due ?? Number.POSITIVE_INFINITY;
    if (due >= soonest) continue;
    best = walk;
    soonest = due;
  }
  return best;
}
