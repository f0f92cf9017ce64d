/** The hints of the records store in memory: sorted entries, of which a scan may miss late ones. */
import { compareText } from "../../src/store/kit/order.ts";
import type {
  DriverLimits,
  Entry,
  Place,
  ScanAnswer,
  ScanRequest,
  Shelf,
  Shelves,
} from "../../src/store/records/driver.ts";

interface Row extends Entry {
  /** A scan misses it until then. */
  readonly hiddenUntil: number;
}

function comparePlaces(a: Place, b: Place): number {
  return a.at - b.at || compareText(a.id, b.id);
}

export class MemoryShelves implements Shelves {
  readonly #limits: DriverLimits;
  readonly #clock: (() => number) | undefined;
  readonly #shelves = new Map<string, Row[]>();

  constructor(limits: DriverLimits, clock: (() => number) | undefined) {
    this.#limits = limits;
    this.#clock = clock;
  }

  async post(hints: readonly { readonly shelf: Shelf; readonly entry: Entry }[]): Promise<void> {
    const now = this.#clock?.() ?? 0;
    const { lateMs, sweepMs } = this.#limits;
    for (const { shelf, entry } of hints) {
      const rows = this.#of(shelf);
      const isLate = shelf.kind === "work" && entry.place.at < now - lateMs;
      const hiddenUntil = isLate ? now + sweepMs : 0;
      const index = indexOf(rows, entry.place);
      const isKnown =
        rows[index] !== undefined && comparePlaces(rows[index].place, entry.place) === 0;
      rows.splice(index, isKnown ? 1 : 0, { ...entry, hiddenUntil });
    }
  }

  async strike(hints: readonly { readonly shelf: Shelf; readonly place: Place }[]): Promise<void> {
    for (const { shelf, place } of hints) {
      const rows = this.#of(shelf);
      const index = indexOf(rows, place);
      const row = rows[index];
      if (row !== undefined && comparePlaces(row.place, place) === 0) rows.splice(index, 1);
    }
  }

  async scan({ shelf, after, bound, limit }: ScanRequest): Promise<ScanAnswer> {
    const rows = this.#seen(shelf);
    const found = shelf.kind === "work" ? rows : rows.toReversed();
    const isFurther = ({ place }: Entry) => {
      if (after === undefined) return true;
      const difference = comparePlaces(place, after);
      return shelf.kind === "work" ? difference > 0 : difference < 0;
    };
    const isWithin = ({ place: { at } }: Entry) => {
      if (bound === undefined) return true;
      return shelf.kind === "work" ? at <= bound : at > bound;
    };
    const entries = found.filter((row) => isFurther(row) && isWithin(row));
    const page = entries.slice(0, limit).map(({ place, body }) => ({ place, body }));
    return { entries: page, more: entries.length > limit };
  }

  async count(request: {
    readonly shelf: Shelf;
    readonly bound?: number;
    readonly max: number;
  }): Promise<number> {
    const { shelf, bound, max } = request;
    const { entries } = await this.scan({
      shelf,
      limit: max,
      ...(bound !== undefined && { bound }),
    });
    return entries.length;
  }

  /** How many entries there are in all: for tests of what is left. */
  get size(): number {
    return [...this.#shelves.values()].reduce((sum, rows) => sum + rows.length, 0);
  }

  #of({ partition, kind, name }: Shelf): Row[] {
    const key = `${partition}/${kind}/${name}`;
    const known = this.#shelves.get(key);
    if (known !== undefined) return known;
    const rows: Row[] = [];
    this.#shelves.set(key, rows);
    return rows;
  }

  #seen(shelf: Shelf): readonly Row[] {
    const now = this.#clock?.() ?? 0;
    return this.#of(shelf).filter(({ hiddenUntil }) => hiddenUntil <= now);
  }
}

/** Of the first row that does not come before the place. */
function indexOf(rows: readonly Entry[], place: Place): number {
  let [low, high] = [0, rows.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (comparePlaces(rows[middle]!.place, place) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
