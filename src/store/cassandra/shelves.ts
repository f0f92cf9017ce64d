/** Hints in Cassandra: plain writes into buckets, read from where something may be left. */
import { BoundedMap } from "../../base/bounded-map.ts";
import type { Ids } from "../../base/clock.ts";
import { inTurns } from "../kit/in-turns.ts";
import { lastCharacter } from "../kit/order.ts";
import type { Entry, Place, ScanAnswer, ScanRequest, Shelf, Shelves } from "../records/driver.ts";
import { BucketRows, type Range } from "./bucket-rows.ts";
import { Buckets, bucketMs, bucketOf } from "./buckets.ts";
import { comparePlaces, Horizon } from "./horizon.ts";
import type { CassandraLink } from "./link.ts";

/** See RecordsDriver.limits. */
export const lateMs = 2_000;
export const sweepMs = 30_000;

const horizonsMax = 10_000;
const atOnce = 32;
/** Buckets between the mark and now that are looked into without asking whether they exist. */
const unaskedMax = 2;

type WorkRange = Range & { readonly shelf: Shelf };
type Hint = { readonly shelf: Shelf; readonly place: Place };

export class CassandraShelves implements Shelves {
  readonly #now: () => number;
  readonly #rows: BucketRows;
  readonly #buckets: Buckets;
  readonly #horizons = new BoundedMap<string, Horizon>(horizonsMax);
  readonly #sweeps = new Set<Promise<void>>();

  constructor(link: CassandraLink, options: { readonly now: () => number; readonly ids: Ids }) {
    this.#now = options.now;
    this.#rows = new BucketRows(link);
    this.#buckets = new Buckets(link, options);
  }

  async post(hints: readonly { readonly shelf: Shelf; readonly entry: Entry }[]): Promise<void> {
    await inTurns(atOnce, hints, ({ shelf, entry }) => this.#rows.put(shelf, entry));
    const settledUpTo = this.#now() - lateMs;
    const entered = new Map<string, Hint>();
    for (const { shelf, entry } of hints) {
      const { place } = entry;
      if (shelf.kind === "work" && place.at <= settledUpTo) this.#horizon(shelf).forget();
      const bucket = bucketOf(shelf.kind, place.at);
      entered.set(`${shelf.partition}/${shelf.kind}/${bucket}/${shelf.name}`, { shelf, place });
    }
    await inTurns(atOnce, [...entered.values()], ({ shelf, place }) =>
      this.#buckets.enter(shelf, bucketOf(shelf.kind, place.at)),
    );
  }

  async strike(hints: readonly Hint[]): Promise<void> {
    await inTurns(atOnce, hints, async ({ shelf, place }) => {
      await this.#rows.delete(shelf, place);
      if (shelf.kind === "work") this.#horizon(shelf).onStruck(place);
    });
  }

  async scan(request: ScanRequest): Promise<ScanAnswer> {
    return request.shelf.kind === "list" ? this.#scanList(request) : this.#scanWork(request);
  }

  async count(request: Parameters<Shelves["count"]>[0]): Promise<number> {
    const { max, ...rest } = request;
    return (await this.scan({ ...rest, limit: max })).entries.length;
  }

  /** Waits for what goes on in the background. */
  async close(): Promise<void> {
    await Promise.all(this.#sweeps);
  }

  async #scanList({ shelf, after, bound, limit }: ScanRequest): Promise<ScanAnswer> {
    const entries: Entry[] = [];
    const first = after === undefined ? undefined : bucketOf("list", after.at);
    const range = { after, bound };
    for await (const bucket of this.#buckets.from(shelf, first)) {
      if (bound !== undefined && bucket + bucketMs.list <= bound) break;
      const found = await this.#rows.read(shelf, bucket, {
        ...range,
        limit: limit - entries.length,
      });
      entries.push(...found);
      if (entries.length >= limit) return { entries, more: true };
      const isWhole = after === undefined || bucket + bucketMs.list <= after.at;
      if (isWhole && found.length === 0) this.#inBackground(this.#retire(shelf, bucket));
    }
    return { entries, more: false };
  }

  async #scanWork({ shelf, after, bound, limit }: ScanRequest): Promise<ScanAnswer> {
    const now = this.#now();
    const horizon = this.#horizon(shelf);
    const { known, generation } = horizon;
    if (known === undefined || after !== undefined) {
      const answer = await this.#readWork({ shelf, after, bound, limit });
      if (after === undefined) {
        this.#learn(horizon, { ...answer, bound, generation, now });
        horizon.onScanned(now);
      }
      return answer;
    }
    this.#inBackground(horizon.sweep(now, sweepMs, () => this.#sweep(shelf, horizon)));
    const [kept, beyond] = await Promise.all([
      this.#rows.stillThere(shelf, known.kept),
      this.#readWork({ shelf, after: known.mark, bound, limit }, now),
    ]);
    const isOutside = ({ place }: Entry) => bound !== undefined && place.at > bound;
    const all = [...kept, ...beyond.entries];
    this.#learn(horizon, { entries: all, more: beyond.more, bound, generation, now });
    const entries = all.filter((entry) => !isOutside(entry));
    return { entries: entries.slice(0, limit), more: beyond.more || entries.length > limit };
  }

  #learn(
    horizon: Horizon,
    found: ScanAnswer & {
      readonly bound: number | undefined;
      readonly generation: number;
      readonly now: number;
    },
  ): void {
    const { entries, more, bound, generation, now } = found;
    const settledUpTo = { at: now - lateMs, id: "" };
    const end = bound === undefined ? settledUpTo : { at: bound, id: lastCharacter };
    const upTo = more ? (entries.at(-1)?.place ?? settledUpTo) : end;
    horizon.learn({ entries, upTo, settledUpTo, generation });
  }

  /** `now`: the buckets from the place until then are few, and need not be asked for. */
  async #readWork(request: WorkRange, now?: number): Promise<ScanAnswer> {
    const { shelf, after, bound, limit } = request;
    const entries: Entry[] = [];
    for await (const bucket of this.#workBuckets(request, now)) {
      if (bound !== undefined && bucket > bound) break;
      const range = { after, bound, limit: limit - entries.length };
      entries.push(...(await this.#rows.read(shelf, bucket, range)));
      if (entries.length >= limit) return { entries, more: true };
    }
    return { entries, more: false };
  }

  async *#workBuckets({ shelf, after, bound }: WorkRange, now?: number): AsyncGenerator<number> {
    if (after === undefined) return yield* this.#buckets.from(shelf);
    let next = bucketOf("work", after.at);
    const unaskedTo = Math.min(now ?? after.at, next + unaskedMax * bucketMs.work);
    for (; next <= unaskedTo; next += bucketMs.work) yield next;
    if (bound === undefined || next <= bound) yield* this.#buckets.from(shelf, next);
  }

  /** All before the mark, where others may have put something in late. */
  async #sweep(shelf: Shelf, horizon: Horizon): Promise<void> {
    const { known, generation } = horizon;
    if (known === undefined) return;
    const { mark, kept } = known;
    let left = 0;
    for await (const bucket of this.#buckets.from(shelf)) {
      if (bucket > mark.at) break;
      const found = await this.#rows.read(shelf, bucket, {
        bound: mark.at,
        limit: kept.length + 1,
      });
      left += found.filter(({ place }) => comparePlaces(place, mark) <= 0).length;
      const isNew = ({ place }: Entry) =>
        comparePlaces(place, mark) <= 0 &&
        !kept.some((one) => comparePlaces(one.place, place) === 0);
      if (found.some(isNew) || left > kept.length) {
        // The next scan begins at the beginning.
        if (generation === horizon.generation) horizon.forget();
        return;
      }
      if (found.length === 0) await this.#retire(shelf, bucket);
    }
  }

  async #retire(shelf: Shelf, bucket: number): Promise<void> {
    await this.#buckets.retire(
      shelf,
      bucket,
      async () => (await this.#rows.read(shelf, bucket, { limit: 1 })).length === 0,
    );
  }

  #horizon({ partition, name }: Shelf): Horizon {
    const key = `${partition}/${name}`;
    const known = this.#horizons.get(key);
    if (known !== undefined) return known;
    const made = new Horizon();
    this.#horizons.set(key, made);
    return made;
  }

  #inBackground(work: Promise<void>): void {
    const settled = work.catch(() => {}).finally(() => this.#sweeps.delete(settled));
    this.#sweeps.add(settled);
  }
}
