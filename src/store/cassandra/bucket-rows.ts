/** The entries of one bucket of a shelf. */

import type { Entry, Place, Shelf } from "../records/driver.ts";
import { StoreFault } from "../store.ts";
import { bucketMs, bucketOf } from "./buckets.ts";
import { type CassandraError, codes } from "./faults.ts";
import { comparePlaces } from "./horizon.ts";
import type { CassandraLink, Parameter, Row } from "./link.ts";

export interface Range {
  /** Strictly beyond it in the direction of the shelf. */
  readonly after?: Place | undefined;
  /** As in ScanRequest. */
  readonly bound?: number | undefined;
  readonly limit: number;
}

const tables = { work: "work", list: "lists" } as const;

/** Clocks count in microseconds: an entry is as old as its place, and its deletion a little younger. */
const writtenAt = (at: number) => at * 1_000;
const struckAt = (at: number) => at * 1_000 + 1;

export class BucketRows {
  readonly #link: CassandraLink;

  constructor(link: CassandraLink) {
    this.#link = link;
  }

  /** A place is used once, so whoever strikes it does so after this, whatever the clocks say. */
  async put(shelf: Shelf, { place: { at, id }, body }: Entry): Promise<void> {
    const query =
      `INSERT INTO ${this.#table(shelf)} (ns, p, shelf, bucket, at, id, body) ` +
      "VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?";
    const place = this.#place(shelf, bucketOf(shelf.kind, at));
    await this.#link.write(query, [...place, at, id, body, writtenAt(at)]);
  }

  async delete(shelf: Shelf, { at, id }: Place): Promise<void> {
    const query =
      `DELETE FROM ${this.#table(shelf)} USING TIMESTAMP ? ` +
      `WHERE ${whereBucket} AND at = ? AND id = ?`;
    const place = this.#place(shelf, bucketOf(shelf.kind, at));
    await this.#link.write(query, [struckAt(at), ...place, at, id]);
  }

  async read(shelf: Shelf, bucket: number, range: Range): Promise<readonly Entry[]> {
    const length = bucketMs[shelf.kind];
    const { after, bound, limit } = range;
    const isWork = shelf.kind === "work";
    const from = isWork ? bucket : Math.max(bucket, (bound ?? -Infinity) + 1);
    const to = isWork ? Math.min(bucket + length - 1, bound ?? Infinity) : bucket + length - 1;
    return await this.#slice(shelf, bucket, { from, to, after, limit });
  }

  /** Those of the entries that are there, in their order. */
  async stillThere(shelf: Shelf, entries: readonly Entry[]): Promise<readonly Entry[]> {
    const found = await Promise.all(
      entries.map(async (entry) => {
        const { at, id } = entry.place;
        const query = `SELECT at FROM ${this.#table(shelf)} WHERE ${whereBucket} AND at = ? AND id = ?`;
        const place = this.#place(shelf, bucketOf(shelf.kind, at));
        return (await this.#link.read(query, [...place, at, id])).length > 0;
      }),
    );
    return entries.filter((_, i) => found[i]);
  }

  /**
   * Entries from the moment `from` to `to`, both included. A node refuses to pass over very many that
   * were struck: then it reads one half, and the other.
   */
  async #slice(shelf: Shelf, bucket: number, slice: Slice): Promise<readonly Entry[]> {
    const { from, to, limit } = slice;
    if (from > to) return [];
    try {
      return await this.#query(shelf, bucket, slice);
    } catch (error) {
      if (!(isOfStruck(error) && from < to)) throw error;
      const middle = Math.floor((from + to) / 2);
      const halves = [
        { ...slice, to: middle },
        { ...slice, from: middle + 1 },
      ];
      const [first, second] = shelf.kind === "work" ? halves : halves.toReversed();
      const entries = await this.#slice(shelf, bucket, first!);
      const left = limit - entries.length;
      if (left <= 0) return entries;
      return [...entries, ...(await this.#slice(shelf, bucket, { ...second!, limit: left }))];
    }
  }

  async #query(shelf: Shelf, bucket: number, slice: Slice): Promise<readonly Entry[]> {
    const { from, to, after, limit } = slice;
    const select = `SELECT at, id, body FROM ${this.#table(shelf)} WHERE ${whereBucket}`;
    const place = this.#place(shelf, bucket);
    const isWork = shelf.kind === "work";
    const edge = isWork ? { at: from, id: "" } : { at: to + 1, id: "" };
    const difference = after === undefined ? 0 : comparePlaces(after, edge);
    const start = after !== undefined && (isWork ? difference > 0 : difference < 0) ? after : edge;
    const range = isWork
      ? `AND (at, id) ${start === edge ? ">=" : ">"} (?, ?) AND (at) <= (?)`
      : "AND (at, id) < (?, ?) AND (at) >= (?)";
    const params = [...place, start.at, start.id, isWork ? to : from, limit];
    const rows = await this.#link.read(`${select} ${range} LIMIT ?`, params);
    return rows.map(entryOf);
  }

  #table({ kind }: Shelf): string {
    return `${this.#link.keyspace}.${tables[kind]}`;
  }

  #place({ partition, name }: Shelf, bucket: number): readonly Parameter[] {
    return [this.#link.namespace, partition, name, bucket];
  }
}

interface Slice {
  readonly from: number;
  readonly to: number;
  readonly after: Place | undefined;
  readonly limit: number;
}

const whereBucket = "ns = ? AND p = ? AND shelf = ? AND bucket = ?";

function isOfStruck(error: unknown): boolean {
  const cause =
    error instanceof StoreFault ? (error.cause as CassandraError | undefined) : undefined;
  return cause?.code === codes.readFailure;
}

function entryOf(row: Row): Entry {
  return {
    place: { at: Number(row.at), id: row.id as string },
    body: row.body as string,
  };
}
