/**
 * Which queues, and priorities in them, have shelves: a list of its own, to which each server adds
 * those that it posts to. Entries stay, the latest one of each.
 */
import { BoundedMap } from "../../base/bounded-map.ts";
import type { Place, RecordsDriver } from "./driver.ts";
import { type NewHint, type PlaceIds, type QueueShelf, queuesShelf } from "./hints.ts";

/** A server enters a queue again after this time. */
const announcedMs = 3_600_000;
/** The list is read again for a queue that is in it after this time, for new priorities. */
const freshMs = 15_000;
const pageMax = 500;
const announcedMax = 100_000;

interface Known {
  readonly readAt: number;
  /** Priorities by queue, highest first. */
  readonly queues: ReadonlyMap<string, readonly number[]>;
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
    const outdated: { shelf: typeof shelf; place: Place }[] = [];
    for (let after: Place | undefined; ; ) {
      const request = { shelf, limit: pageMax };
      const page = await this.#driver.shelves.scan(after ? { ...request, after } : request);
      for (const { place, body } of page.entries) {
        const { queue, priority } = JSON.parse(body) as QueueShelf;
        const priorities = queues.get(queue) ?? [];
        queues.set(queue, priorities);
        if (priorities.includes(priority)) outdated.push({ shelf, place });
        else priorities.push(priority);
      }
      after = page.entries.at(-1)?.place;
      if (!page.more || after === undefined) break;
    }
    for (const priorities of queues.values()) priorities.sort((a, b) => b - a);
    this.#known.set(partition, { readAt: now, queues });
    if (outdated.length > 0) await this.#driver.shelves.strike(outdated);
    return queues;
  }
}

function nameOf(partition: number, { queue, priority }: QueueShelf): string {
  return `${partition}/${priority}/${queue}`;
}
