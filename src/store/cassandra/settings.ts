/** What is fixed when a namespace is created (its partitions), and what only rises (its format). */
import { limits } from "../../base/limits.ts";
import { currentFormat } from "../../model/format.ts";
import { type Namespace, readNamespace } from "../kit/namespace.ts";
import type { CassandraLink, Statement } from "./link.ts";

/** Of the tables; raised by a change of them that older servers cannot work with. */
const tablesVersion = 1;

type Values = Readonly<Record<string, string>>;

export class Settings {
  readonly #link: CassandraLink;
  readonly #table: string;

  constructor(link: CassandraLink) {
    this.#link = link;
    this.#table = `${link.keyspace}.settings`;
  }

  /** Throws an Error of one sentence when this server cannot use the namespace. */
  async claim(partitions: number | undefined): Promise<Namespace> {
    const { namespace } = this.#link;
    let values = await this.#read();
    if (values.partitions === undefined) {
      await this.#create({
        tables: `${tablesVersion}`,
        partitions: `${partitions ?? limits.partitionsBilledDefault}`,
        format: `${currentFormat}`,
      });
      values = await this.#read();
    }
    if (Number(values.tables) > tablesVersion) {
      throw new Error(
        `The namespace ${namespace} was written by a newer Orchy (tables ${values.tables}; this ` +
          `one knows ${tablesVersion}); start that version, or a newer one.`,
      );
    }
    const { partitions: stored, format } = values;
    return readNamespace({ partitions: stored, format }, { namespace, partitions });
  }

  async format(): Promise<number> {
    return Number((await this.#read()).format);
  }

  /** Returns the one in force. */
  async raiseFormat(format: number): Promise<number> {
    const query = `UPDATE ${this.#table} SET value = ? WHERE ns = ? AND name = 'format' IF value = ?`;
    for (;;) {
      const known = await this.format();
      if (known >= format) return known;
      const params = [`${format}`, this.#link.namespace, `${known}`];
      if ((await this.#link.decide([{ query, params }])).applied) return format;
    }
  }

  async #read(): Promise<Values> {
    const query = `SELECT name, value FROM ${this.#table} WHERE ns = ?`;
    const rows = await this.#link.read(query, [this.#link.namespace], { sure: true });
    return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
  }

  /** All of them, or none where another server was first. */
  async #create(values: Values): Promise<void> {
    const query = `INSERT INTO ${this.#table} (ns, name, value) VALUES (?, ?, ?) IF NOT EXISTS`;
    const statements: Statement[] = Object.entries(values).map(([name, value]) => ({
      query,
      params: [this.#link.namespace, name, value],
    }));
    await this.#link.decide(statements);
  }
}
