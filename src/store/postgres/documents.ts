/** Documents and the registry of servers, in PostgreSQL. */
import { putDocument } from "../kit/documents.ts";
import type * as contract from "../store.ts";
import { toFault } from "./faults.ts";
import type { Parameter, PostgresLink } from "./link.ts";
import { schemaVersion } from "./schema.ts";

export class Documents {
  readonly #link: PostgresLink;

  constructor(link: PostgresLink) {
    this.#link = link;
  }

  async get({ kind, id }: contract.DocumentPlace): Promise<contract.Document | undefined> {
    const { schema } = this.#link;
    const [row] = await this.#link.read<contract.Document>(
      `SELECT id, version, body FROM ${schema}.documents WHERE kind = $1 AND id = $2`,
      [kind, id],
    );
    return row;
  }

  /** The statement writes only what it still finds as it was read; otherwise another look decides. */
  async put(request: contract.PutRequest): Promise<contract.PutAnswer> {
    const { kind, id } = request;
    const { schema } = this.#link;
    for (;;) {
      const { answer, document } = putDocument(await this.get({ kind, id }), request);
      if (document === undefined) return answer;
      const { version, body } = document;
      const written =
        request.expectedVersion === 0
          ? await this.#run(
              `INSERT INTO ${schema}.documents (kind, id, version, body)
               VALUES ($1, $2, $3::bigint, $4) ON CONFLICT DO NOTHING RETURNING 1`,
              [kind, id, version, body],
            )
          : await this.#run(
              `UPDATE ${schema}.documents SET version = $3::bigint, body = $4
               WHERE kind = $1 AND id = $2 AND version = $3::bigint - 1 RETURNING 1`,
              [kind, id, version, body],
            );
      if (written > 0) return answer;
    }
  }

  async list(request: contract.ListDocumentsRequest): Promise<readonly contract.Document[]> {
    const { kind, prefix = "", after = "", limit } = request;
    return await this.#link.read<contract.Document>(
      `SELECT id, version, body FROM ${this.#link.schema}.documents
       WHERE kind = $1 AND id >= $2 AND starts_with(id, $2) AND id > $3
       ORDER BY id LIMIT $4::int`,
      [kind, prefix, after, limit],
    );
  }

  async kinds(): Promise<readonly string[]> {
    const rows = await this.#link.read<{ readonly kind: string }>(
      `SELECT DISTINCT kind FROM ${this.#link.schema}.documents ORDER BY kind`,
    );
    return rows.map(({ kind }) => kind);
  }

  async restore({ kind, document }: contract.RestoreDocumentRequest): Promise<void> {
    const { id, version, body } = document;
    await this.#run(
      `INSERT INTO ${this.#link.schema}.documents (kind, id, version, body)
       VALUES ($1, $2, $3::bigint, $4)
       ON CONFLICT (kind, id) DO UPDATE SET version = excluded.version, body = excluded.body`,
      [kind, id, version, body],
    );
  }

  async delete({ kind, id }: contract.DocumentPlace): Promise<boolean> {
    const { schema } = this.#link;
    const text = `DELETE FROM ${schema}.documents WHERE kind = $1 AND id = $2 RETURNING 1`;
    return (await this.#run(text, [kind, id])) > 0;
  }

  /** Forgets those that ended without leaving. */
  async beat({ id, body, now, ttlMs }: contract.BeatRequest): Promise<void> {
    const { schema } = this.#link;
    await this.#run(
      `WITH ended AS (DELETE FROM ${schema}.servers WHERE id IN (
         SELECT id FROM ${schema}.servers WHERE until <= $4::bigint AND id <> $1
         FOR UPDATE SKIP LOCKED))
       INSERT INTO ${schema}.servers (id, until, body, schema)
         VALUES ($1, $2::bigint, $3, $5::int)
       ON CONFLICT (id) DO UPDATE SET until = excluded.until, body = excluded.body,
         schema = excluded.schema`,
      [id, now + ttlMs, body, now, schemaVersion],
    );
  }

  async servers(now: number): Promise<readonly contract.LiveServer[]> {
    return await this.#link.read<contract.LiveServer>(
      `SELECT id, body FROM ${this.#link.schema}.servers WHERE until > $1::bigint ORDER BY id`,
      [now],
    );
  }

  async leave(id: string): Promise<void> {
    await this.#run(`DELETE FROM ${this.#link.schema}.servers WHERE id = $1`, [id]);
  }

  /** How many rows were written. */
  async #run(text: string, parameters: readonly Parameter[]): Promise<number> {
    try {
      return (await this.#link.query(text, parameters)).length;
    } catch (error) {
      throw toFault(error);
    }
  }
}
