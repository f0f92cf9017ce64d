/**
 * Which queues, and priorities in them, have shelves: a list of its own, to which each server adds
 * those that it posts to. The latest entry of each stays, until the queue has been empty and unused for
 * long.
 */
import { BoundedMap } from "../../base/bounded-map.ts";
import type { Place, RecordsDriver } from "./driver.ts";
import { type NewHint, type PlaceIds, type QueueShelf, queuesShelf } from "./hints.ts";

/** A server enters a queue again after this time. */
const announcedMs = 600_000;
/**
 * From its latest entry on, a queue that is empty may be forgotten: every server that posts to it enters
 * it anew, also one that has been about to post for minutes.
 */
const unusedMs = 2 * announcedMs;
/** The list is read again for a queue that is in it after this time, for new priorities. */
const freshMs = 15_000;
const pageMax = 500;
const announcedMax = 100_000;

interface Known {
  readonly readAt: number;
  /** Priorities by queue, highest first. */
  readonly queues: ReadonlyMap<string, readonly number[]>;
  /** The latest entries. */
  readonly entries: ReadonlyMap<string, Place>;
}

interface Entered {
  readonly queue: QueueShelf;
  readonly place: Place;
}

export class QueueIndex {
  readonly #driver: RecordsDriver;
  readonly #ids: PlaceIds;
  /** When it was entered, by partition, priority and queue. */
  readonly #announced = new BoundedMap<string, number>(announcedMax);
  readonly #known = new Map<number, Known>();

  constructor(driver: RecordsDriver, ids: PlaceIds) {
    this.#driver = driver;
    this.#ids = ids;
  }

  /** Entries for those of the queues that need one, to be posted with their hints. */
  announcements(partition: number, queues: readonly QueueShelf[], now: number): NewHint[] {
    const fresh = new Map(queues.map((queue) => [nameOf(partition, queue), queue]));
    return [...fresh].flatMap(([name, { queue, priority }]) => {
      const at = this.#announced.get(name);
      if (at !== undefined && now - at < announcedMs) return [];
      const body = JSON.stringify({ queue, priority });
      const place = { at: now, id: this.#ids.next() };
      return [{ shelf: queuesShelf(partition), entry: { place, body } }];
    });
  }

  /** They have been posted. */
  announced(partition: number, posted: readonly NewHint[]): void {
    for (const { entry } of posted) {
      const queue = JSON.parse(entry.body) as QueueShelf;
      this.#announced.set(nameOf(partition, queue), entry.place.at);
      // The next look reads the list anew.
      this.#known.delete(partition);
    }
  }

  /** Priorities of each of the queues, highest first; none: nobody has used it. */
  async of(
    partition: number,
    queues: readonly string[],
    now: number,
  ): Promise<ReadonlyMap<string, readonly number[]>> {
    const known = this.#known.get(partition);
    const isFresh = known !== undefined && now - known.readAt < freshMs;
    if (isFresh && queues.every((queue) => known.queues.has(queue))) return known.queues;
    return await this.all(partition, now);
  }

  /** Reads the list, and strikes what is in it twice. */
  async all(partition: number, now: number): Promise<Known["queues"]> {
    const shelf = queuesShelf(partition);
    const queues = new Map<string, number[]>();
    const entries = new Map<string, Place>();
    const outdated: { shelf: typeof shelf; place: Place }[] = [];
    for (let after: Place | undefined; ; ) {
      const request = { shelf, limit: pageMax };
      const page = await this.#driver.shelves.scan(after ? { ...request, after } : request);
      for (const { place, body } of page.entries) {
        const entered = JSON.parse(body) as QueueShelf;
        const name = nameOf(partition, entered);
        if (entries.has(name)) outdated.push({ shelf, place });
        else {
          entries.set(name, place);
          queues.set(entered.queue, [...(queues.get(entered.queue) ?? []), entered.priority]);
        }
      }
      after = page.entries.at(-1)?.place;
      if (!page.more || after === undefined) break;
    }
    for (const priorities of queues.values()) priorities.sort((a, b) => b - a);
    this.#known.set(partition, { readAt: now, queues, entries });
    if (outdated.length > 0) await this.#driver.shelves.strike(outdated);
    return queues;
  }

  /** Of queues that were found empty, those that nobody has used for long, with their entries. */
  unused(partition: number, empty: readonly QueueShelf[], now: number): readonly Entered[] {
    const entries = this.#known.get(partition)?.entries;
    return empty.flatMap((queue) => {
      const place = entries?.get(nameOf(partition, queue));
      return place !== undefined && now - place.at >= unusedMs ? [{ queue, place }] : [];
    });
  }

  async forget(partition: number, unused: readonly Entered[]): Promise<void> {
    if (unused.length === 0) return;
    const shelf = queuesShelf(partition);
    this.#known.delete(partition);
    await this.#driver.shelves.strike(unused.map(({ place }) => ({ shelf, place })));
  }
}

function nameOf(partition: number, { queue, priority }: QueueShelf): string {
  return `${partition}/${priority}/${queue}`;
}
