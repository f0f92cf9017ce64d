/** Parts of executions in Cassandra: plain writes, each name once. */
import type { ExecutionKey } from "../../model/ids.ts";
import { inTurns } from "../kit/in-turns.ts";
import { compareText } from "../kit/order.ts";
import type { Aggregates, Part } from "../records/driver.ts";
import type { CassandraLink, Parameter } from "./link.ts";

/** Statements of one call that are under way at once. */
const atOnce = 16;

export class Parts {
  readonly #link: CassandraLink;
  readonly #table: string;

  constructor(link: CassandraLink) {
    this.#link = link;
    this.#table = `${link.keyspace}.parts`;
  }

  async put(key: ExecutionKey, parts: readonly Part[]): Promise<void> {
    const query = `INSERT INTO ${this.#table} (ns, p, e, name, body) VALUES (?, ?, ?, ?, ?)`;
    await inTurns(atOnce, parts, async ({ name, body }) => {
      const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
      await this.#link.write(query, [...this.#place(key), name, bytes]);
    });
  }

  async read(
    key: ExecutionKey,
    names: readonly string[],
  ): Promise<readonly (Uint8Array | undefined)[]> {
    const query = `SELECT body FROM ${this.#table} ${whereName}`;
    return await inTurns(atOnce, names, async (name) => {
      const [row] = await this.#link.read(query, [...this.#place(key), name]);
      return row?.body as Uint8Array | undefined;
    });
  }

  async drop(key: ExecutionKey, names: readonly string[]): Promise<void> {
    const query = `DELETE FROM ${this.#table} ${whereName}`;
    await inTurns(atOnce, names, (name) => this.#link.write(query, [...this.#place(key), name]));
  }

  async list(request: Parameters<Aggregates["listParts"]>[0]): Promise<readonly string[]> {
    const { key, prefix = "", after, limit } = request;
    // Bounds compare as bytes of UTF-8; after the prefix comes what does not begin with it.
    const isAfter = after !== undefined && compareText(after, prefix) >= 0;
    const text = `SELECT name FROM ${this.#table} WHERE ns = ? AND p = ? AND e = ?`;
    const query = `${text} AND name ${isAfter ? ">" : ">="} ? LIMIT ?`;
    const from = isAfter ? after : prefix;
    const rows = await this.#link.read(query, [...this.#place(key), from, limit]);
    const names = rows.map((row) => row.name as string);
    return names.filter((name) => name.startsWith(prefix));
  }

  #place({ partition, id }: ExecutionKey): readonly Parameter[] {
    return [this.#link.namespace, partition, id];
  }
}

const whereName = "WHERE ns = ? AND p = ? AND e = ? AND name = ?";
