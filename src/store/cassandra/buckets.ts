/**
 * Which buckets of a shelf there may be. Every server enters a bucket once it has posted to it, under
 * a mark that is used once. A bucket that is past and empty is taken out by the marks that were read
 * before it was looked into: who posted meanwhile has entered it under another one.
 */
import { BoundedMap } from "../../base/bounded-map.ts";
import type { Ids } from "../../base/clock.ts";
import { lastCharacter } from "../kit/order.ts";
import type { Shelf } from "../records/driver.ts";
import type { CassandraLink, Parameter } from "./link.ts";

export const bucketMs = { work: 60_000, list: 86_400_000 } as const;

/** From the end of a bucket until it may be taken out; until half of it, what was entered counts. */
const graceMs = 60_000;
const knownMax = 20_000;
const pageRows = 200;

export function bucketOf(kind: Shelf["kind"], at: number): number {
  return Math.floor(at / bucketMs[kind]) * bucketMs[kind];
}

export class Buckets {
  readonly #link: CassandraLink;
  readonly #now: () => number;
  readonly #ids: Ids;
  readonly #table: string;
  /** Entered by this process. */
  readonly #entered = new BoundedMap<string, true>(knownMax);

  constructor(link: CassandraLink, options: { readonly now: () => number; readonly ids: Ids }) {
    this.#link = link;
    this.#now = options.now;
    this.#ids = options.ids;
    this.#table = `${link.keyspace}.buckets`;
  }

  /** To be called after what was posted to the bucket is there. */
  async enter(shelf: Shelf, bucket: number): Promise<void> {
    const name = `${shelf.partition}/${shelf.kind}/${bucket}/${shelf.name}`;
    const isRecent = this.#now() < bucket + bucketMs[shelf.kind] + graceMs / 2;
    if (isRecent && this.#entered.has(name)) return;
    const query =
      `INSERT INTO ${this.#table} (ns, p, shelf, kind, bucket, mark) ` +
      "VALUES (?, ?, ?, ?, ?, ?)";
    await this.#link.write(query, [...this.#place(shelf), bucket, this.#ids.nonce()]);
    if (isRecent) this.#entered.set(name, true);
  }

  /** In the direction of the shelf, from this bucket, or from its first one. */
  async *from(shelf: Shelf, first?: number): AsyncGenerator<number> {
    const isWork = shelf.kind === "work";
    const [compared, order] = isWork ? [">=", "ASC"] : ["<=", "DESC"];
    const query =
      `SELECT bucket, mark FROM ${this.#table} WHERE ns = ? AND p = ? AND shelf = ? AND kind = ? ` +
      `AND (bucket, mark) ${compared} (?, ?) ORDER BY bucket ${order}, mark ${order} LIMIT ?`;
    let bound: readonly [number, string] = isWork
      ? [first ?? Number.MIN_SAFE_INTEGER, ""]
      : [first ?? Number.MAX_SAFE_INTEGER, lastCharacter];
    let last: number | undefined;
    for (;;) {
      const rows = await this.#link.read(query, [...this.#place(shelf), ...bound, pageRows]);
      for (const row of rows) {
        const bucket = Number(row.bucket);
        if (bucket !== last) yield bucket;
        last = bucket;
        bound = isWork ? [bucket + 1, ""] : [bucket - 1, lastCharacter];
      }
      if (rows.length < pageRows) return;
    }
  }

  /** Takes it out if it is past and `isEmpty` finds nothing in it. */
  async retire(shelf: Shelf, bucket: number, isEmpty: () => Promise<boolean>): Promise<void> {
    if (this.#now() < bucket + bucketMs[shelf.kind] + graceMs) return;
    const where = `FROM ${this.#table} WHERE ns = ? AND p = ? AND shelf = ? AND kind = ? AND bucket = ?`;
    const place = [...this.#place(shelf), bucket];
    const rows = await this.#link.read(`SELECT mark ${where}`, place);
    if (rows.length === 0 || !(await isEmpty())) return;
    for (const { mark } of rows) {
      await this.#link.write(`DELETE ${where} AND mark = ?`, [...place, mark as string]);
    }
  }

  #place({ partition, kind, name }: Shelf): readonly Parameter[] {
    return [this.#link.namespace, partition, name, kind];
  }
}
