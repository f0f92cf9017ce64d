/**
 * Which retentions end soonest, over some partitions: reads their timers in order, a page at a
 * time, and passes over all that are for something else. A store may hold very many of those: each
 * call reads a bounded number of pages, and the next one goes on.
 */

import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import { parseTimer } from "../../model/timer.ts";
import type { Store, TimerPlace } from "../../store/store.ts";

/** Pages of timers that one search for ends of retentions reads. */
export const timerPagesPerWalk = 64;
/** Pages that one search reads at once. */
const timerPagesAtOnce = 8;

/** How far a partition was read, and what was found there and not requested yet. */
interface Walk {
  readonly partition: number;
  found: TimerPlace[];
  after: TimerPlace | undefined;
  pages: number;
  isOver: boolean;
}

interface Ends {
  /** In the order of their moments, as far as the partitions have been read. */
  readonly timers: readonly TimerPlace[];
  /** All partitions have been read, and what was found in them has been returned. */
  readonly isOver: boolean;
}

export class RetentionEnds {
  readonly #store: Store;
  readonly #walks = new Map<number, Walk>();

  constructor(store: Store) {
    this.#store = store;
  }

  async next(partitions: readonly number[], count: number): Promise<Ends> {
    const walks = partitions.map((partition) => this.#walk(partition));
    await this.#readAhead(walks);
    const timers: TimerPlace[] = [];
    while (timers.length < count) {
      const walk = earliest(walks);
      if (walk === undefined) break;
      timers.push(walk.found.shift()!);
      // What a partition goes on with, where all that was read is used up, may come before the
      // others.
      if (isBehind(walk)) break;
    }
    return { timers, isOver: timers.length === 0 && walks.every(({ isOver }) => isOver) };
  }

  /** Begins anew. */
  reset(): void {
    this.#walks.clear();
  }

  #walk(partition: number): Walk {
    const begun = { partition, found: [], after: undefined, pages: 0, isOver: false };
    const walk = this.#walks.get(partition) ?? begun;
    this.#walks.set(partition, walk);
    return walk;
  }

  /** Until each has found something or is over, or the bound is reached. */
  async #readAhead(walks: readonly Walk[]): Promise<void> {
    for (let left = timerPagesPerWalk; left > 0; ) {
      // Those that were read least come first, so that none has to wait for one with very many.
      const behind = walks.filter(isBehind).sort((a, b) => a.pages - b.pages);
      if (behind.length === 0) return;
      const some = behind.slice(0, Math.min(left, timerPagesAtOnce));
      left -= some.length;
      await Promise.all(
        some.map((walk) =>
          this.#read(walk).catch(() => {
            // One that is away keeps the others from nothing; it is read anew after a reset.
            walk.isOver = true;
          }),
        ),
      );
    }
  }

  async #read(walk: Walk): Promise<void> {
    const { partition, after } = walk;
    const limit = limits.timersListedMax;
    walk.pages += 1;
    const request = { partition, limit, ...defined({ after }) };
    const page = (await this.#store.listTimers?.(request)) ?? [];
    walk.found = page.filter(({ id }) => parseTimer(id)?.kind === "retention");
    walk.isOver = page.length < limit;
    walk.after = page.at(-1) ?? after;
  }
}

function isBehind({ found, isOver }: Walk): boolean {
  return found.length === 0 && !isOver;
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
