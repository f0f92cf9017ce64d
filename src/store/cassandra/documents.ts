/** Documents and the registry of servers, in Cassandra. */
import { putDocument } from "../kit/documents.ts";
import { compareText } from "../kit/order.ts";
import type { DriverDocuments } from "../records/driver.ts";
import type * as contract from "../store.ts";
import type { CassandraLink, Row } from "./link.ts";

function documentOf(id: string, row: Row | undefined): contract.Document | undefined {
  if (row?.version === undefined || row.version === null) return undefined;
  return { id, version: Number(row.version), body: row.body as string };
}

export class CassandraDocuments implements DriverDocuments {
  readonly #link: CassandraLink;
  readonly #table: string;

  constructor(link: CassandraLink) {
    this.#link = link;
    this.#table = `${link.keyspace}.documents`;
  }

  async getDocument({ kind, id }: contract.DocumentPlace): Promise<contract.Document | undefined> {
    const query = `SELECT version, body FROM ${this.#table} ${whereDocument}`;
    const [row] = await this.#link.read(query, [this.#link.namespace, kind, id]);
    return documentOf(id, row);
  }

  /** A refusal says what is there, which decides: a repeat, a conflict, or another try. */
  async putDocument(request: contract.PutRequest): Promise<contract.PutAnswer> {
    const { kind, id, body, expectedVersion } = request;
    const version = expectedVersion + 1;
    for (;;) {
      const { applied, rows } = await this.#replace(kind, expectedVersion, { id, version, body });
      if (applied) return { outcome: "saved", version };
      const { answer, document } = putDocument(documentOf(id, rows[0]), request);
      if (document === undefined) return answer;
    }
  }

  /** `expected`: the version that it has; 0: there is none. */
  #replace(kind: string, expected: number, { id, version, body }: contract.Document) {
    const isNew = expected === 0;
    const query =
      `UPDATE ${this.#table} SET version = ?, body = ? ${whereDocument} ` +
      (isNew ? "IF version = null AND body = null" : "IF version = ? AND body != null");
    const place = [this.#link.namespace, kind, id];
    const params = [version, body, ...place, ...(isNew ? [] : [expected])];
    return this.#link.decide([{ query, params }]);
  }

  async listDocuments(
    request: contract.ListDocumentsRequest,
  ): Promise<readonly contract.Document[]> {
    const { kind, prefix = "", after, limit } = request;
    const isAfter = after !== undefined && compareText(after, prefix) >= 0;
    const query =
      `SELECT id, version, body FROM ${this.#table} WHERE ns = ? AND kind = ? ` +
      `AND id ${isAfter ? ">" : ">="} ? LIMIT ?`;
    const from = isAfter ? after : prefix;
    const rows = await this.#link.read(query, [this.#link.namespace, kind, from, limit]);
    return rows
      .map((row) => documentOf(row.id as string, row))
      .filter((one) => one !== undefined)
      .filter(({ id }) => id.startsWith(prefix));
  }

  async deleteDocument({ kind, id }: contract.DocumentPlace): Promise<boolean> {
    const query = `DELETE FROM ${this.#table} ${whereDocument} IF EXISTS`;
    const params = [this.#link.namespace, kind, id];
    return (await this.#link.decide([{ query, params }])).applied;
  }

  /** Goes through all partitions of the table: the product has some ten kinds in each namespace. */
  async documentKinds(): Promise<readonly string[]> {
    const rows = await this.#link.read(`SELECT DISTINCT ns, kind FROM ${this.#table}`, []);
    const own = rows.filter(({ ns }) => ns === this.#link.namespace);
    return own.map(({ kind }) => kind as string).sort(compareText);
  }

  async restoreDocument({ kind, document }: contract.RestoreDocumentRequest): Promise<void> {
    let known = await this.getDocument({ kind, id: document.id });
    for (;;) {
      const { applied, rows } = await this.#replace(kind, known?.version ?? 0, document);
      if (applied) return;
      known = documentOf(document.id, rows[0]);
    }
  }
}

const whereDocument = "WHERE ns = ? AND kind = ? AND id = ?";
/** Rows of servers that ended go by themselves, this much after they count no more. */
const spareSeconds = 60;

export class CassandraServers {
  readonly #link: CassandraLink;
  readonly #table: string;

  constructor(link: CassandraLink) {
    this.#link = link;
    this.#table = `${link.keyspace}.servers`;
  }

  async beatServer({ id, body, now, ttlMs }: contract.BeatRequest): Promise<void> {
    const query = `INSERT INTO ${this.#table} (ns, id, until, body) VALUES (?, ?, ?, ?) USING TTL ?`;
    const seconds = Math.ceil(ttlMs / 1_000) + spareSeconds;
    await this.#link.write(query, [this.#link.namespace, id, now + ttlMs, body, seconds]);
  }

  async listServers({ now }: { readonly now: number }): Promise<readonly contract.LiveServer[]> {
    const query = `SELECT id, until, body FROM ${this.#table} WHERE ns = ?`;
    const rows = await this.#link.read(query, [this.#link.namespace]);
    return rows
      .filter(({ until }) => Number(until) > now)
      .map(({ id, body }) => ({ id: id as string, body: body as string }));
  }

  async leaveServer({ id }: { readonly id: string }): Promise<void> {
    const query = `DELETE FROM ${this.#table} WHERE ns = ? AND id = ?`;
    await this.#link.write(query, [this.#link.namespace, id]);
  }
}
