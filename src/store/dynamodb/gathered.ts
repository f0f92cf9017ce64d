/** Writes of one turn of the event loop: a request costs DynamoDB and us as much for 25 as for one. */
import type { Clock } from "../../base/clock.ts";

interface Batch<One> {
  readonly writes: Map<string, One>;
  readonly done: Promise<void>;
}

interface GatheredOptions<One> {
  readonly clock: Pick<Clock, "soon">;
  /** The most that one request takes. */
  readonly max: number;
  /** Two of the same name never go together. */
  readonly nameOf: (one: One) => string;
  /** Of at least one, and of distinct names. */
  readonly write: (all: readonly One[]) => Promise<void>;
}

export class Gathered<One> {
  readonly #options: GatheredOptions<One>;
  #batch: Batch<One> | undefined;

  constructor(options: GatheredOptions<One>) {
    this.#options = options;
  }

  /** When all are written; throws what `write` throws for any of those that they went with. */
  async write(all: readonly One[]): Promise<void> {
    const { nameOf, max } = this.#options;
    const batches = new Set<Promise<void>>();
    for (const one of all) {
      const name = nameOf(one);
      const open = this.#batch;
      const fits = open !== undefined && open.writes.size < max && !open.writes.has(name);
      const batch = fits ? open : this.#open();
      batch.writes.set(name, one);
      batches.add(batch.done);
    }
    await Promise.all(batches);
  }

  #open(): Batch<One> {
    const writes = new Map<string, One>();
    const { promise: done, resolve } = Promise.withResolvers<void>();
    const batch = { writes, done };
    this.#batch = batch;
    this.#options.clock.soon(() => {
      if (this.#batch === batch) this.#batch = undefined;
      resolve(this.#options.write([...writes.values()]));
    });
    return batch;
  }
}
