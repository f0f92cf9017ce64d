/**
 * Executions in Cassandra: each is one partition, and each change of it one conditional write. The
 * head is the row whose name is empty.
 */
import type { ExecutionKey } from "../../model/ids.ts";
import type {
  Aggregates,
  Change,
  ChangeAnswer,
  HeadChange,
  HeadRecord,
  ReadRequest,
  RecordGroup,
  RowChange,
  StoredRecord,
} from "../records/driver.ts";
import type { CassandraLink, Parameter, Row, Statement } from "./link.ts";
import { Parts } from "./parts.ts";

const headName = "";
/** The least that the database keeps what it may forget, beyond that moment: clocks differ. */
const spareSeconds = 60;
/** The most that it can be asked to keep something before it forgets it: 20 years. */
const secondsMax = 630_720_000;

export class CassandraAggregates implements Aggregates {
  readonly #link: CassandraLink;
  readonly #now: () => number;
  readonly #parts: Parts;
  readonly #texts: ReturnType<typeof textsOf>;
  readonly putParts: Aggregates["putParts"];
  readonly readParts: Aggregates["readParts"];
  readonly dropParts: Aggregates["dropParts"];
  readonly listParts: Aggregates["listParts"];

  constructor(link: CassandraLink, now: () => number) {
    this.#link = link;
    this.#now = now;
    this.#texts = textsOf(`${link.keyspace}.records`);
    this.#parts = new Parts(link);
    this.putParts = (key, parts) => this.#parts.put(key, parts);
    this.readParts = (key, names) => this.#parts.read(key, names);
    this.dropParts = (key, names) => this.#parts.drop(key, names);
    this.listParts = (request) => this.#parts.list(request);
  }

  async read({ key, rows = [], sure = false }: ReadRequest): Promise<RecordGroup> {
    const place = this.#place(key);
    const { readAll, readNamed } = this.#texts;
    if (rows === "all") return groupOf(await this.#link.read(readAll, place, { sure }));
    const names = [headName, ...rows];
    // Each number of names would be a statement of its own: there are powers of two of them.
    const asked = names.concat(Array(powerAbove(names.length) - names.length).fill(headName));
    return groupOf(await this.#link.read(readNamed(asked.length), [...place, ...asked], { sure }));
  }

  async readHeads(keys: readonly ExecutionKey[]): Promise<readonly (HeadRecord | undefined)[]> {
    return await Promise.all(keys.map(async (key) => (await this.read({ key })).head));
  }

  async change({ key, head, rows }: Change): Promise<ChangeAnswer> {
    const place = this.#place(key);
    const ofRows = rows.map((row) => this.#rowStatement(place, row));
    const statements = [...this.#headStatement(place, head), ...ofRows];
    if (statements.length === 0) return { outcome: "changed" };
    const { applied, rows: found } = await this.#link.decide(statements);
    if (applied) return { outcome: "changed" };
    // Without a condition on it the head was not looked at.
    return head.kind === "any"
      ? { outcome: "refused" }
      : { outcome: "refused", found: groupOf(found, statements.length === 1) };
  }

  #headStatement(place: readonly Parameter[], change: HeadChange): readonly Statement[] {
    const { write, writeNew, remove, stayOpen } = this.#texts;
    switch (change.kind) {
      case "any":
        return [];
      case "open":
        return [{ query: stayOpen, params: [...place, headName] }];
      case "delete":
        return [{ query: remove, params: [...place, headName, change.expected] }];
      case "write": {
        const { expected, next, expiresAt } = change;
        const values = [this.#ttl(expiresAt), next.version, next.body, next.closed];
        const params = [...values, ...place, headName];
        return expected === null
          ? [{ query: writeNew, params }]
          : [{ query: write, params: [...params, expected] }];
      }
    }
  }

  #rowStatement(place: readonly Parameter[], { name, expected, next }: RowChange): Statement {
    const { write, writeNew, remove, absent } = this.#texts;
    const at = [...place, name];
    if (next === undefined) {
      return expected === null
        ? { query: absent, params: at }
        : { query: remove, params: [...at, expected] };
    }
    const params = [0, next.version, next.body, false, ...at];
    return expected === null
      ? { query: writeNew, params }
      : { query: write, params: [...params, expected] };
  }

  #place({ partition, id }: ExecutionKey): readonly Parameter[] {
    return [this.#link.namespace, partition, id];
  }

  /** Seconds; 0: for ever. */
  #ttl(expiresAt: number | undefined): number {
    if (expiresAt === undefined) return 0;
    const seconds = Math.ceil((expiresAt - this.#now()) / 1_000) + spareSeconds;
    return Math.min(Math.max(seconds, spareSeconds), secondsMax);
  }
}

/** What conditions name is returned with a refusal, so they name all of the row. */
function textsOf(table: string) {
  const at = "WHERE ns = ? AND p = ? AND e = ? AND k = ?";
  const shown = "AND body != null AND closed IN (true, false)";
  const select = `SELECT k, v, body, closed FROM ${table} WHERE ns = ? AND p = ? AND e = ?`;
  const update = `UPDATE ${table} USING TTL ? SET v = ?, body = ?, closed = ? ${at}`;
  const named = new Map<number, string>();
  return {
    readAll: select,
    readNamed(count: number): string {
      const known = named.get(count);
      if (known !== undefined) return known;
      const text = `${select} AND k IN (${Array(count).fill("?").join(", ")})`;
      named.set(count, text);
      return text;
    },
    write: `${update} IF v = ? ${shown}`,
    writeNew: `${update} IF v = null AND body = null AND closed = null`,
    remove: `DELETE FROM ${table} ${at} IF v = ? ${shown}`,
    absent: `DELETE FROM ${table} ${at} IF v = null`,
    // A batch cannot look without writing: it writes what is there.
    stayOpen: `UPDATE ${table} SET closed = false ${at} IF closed = false`,
  };
}

function powerAbove(count: number): number {
  return 2 ** Math.ceil(Math.log2(count));
}

/** `isHead`: the row comes without its name. */
function groupOf(found: readonly Row[], isHead = false): RecordGroup {
  const rows = new Map<string, StoredRecord>();
  let head: HeadRecord | undefined;
  for (const row of found) {
    if (row.v === null || row.v === undefined) continue;
    const record = { version: Number(row.v), body: row.body as string };
    if (isHead || row.k === headName) head = { ...record, closed: row.closed === true };
    else rows.set(row.k as string, record);
  }
  return head === undefined ? { rows } : { head, rows };
}
