/** Documents and the registry of servers, in SQLite. */
import type { Database } from "bun:sqlite";
import { putDocument } from "../kit/documents.ts";
import { lastCharacter } from "../kit/order.ts";
import type {
  BeatRequest,
  Document,
  ListDocumentsRequest,
  LiveServer,
  PutAnswer,
  PutRequest,
  RestoreDocumentRequest,
} from "../store.ts";

function prepareStatements(database: Database) {
  return {
    get: database.prepare<Document, [string, string]>(
      "SELECT id, version, body FROM documents WHERE kind = ? AND id = ?",
    ),
    put: database.prepare(`
      INSERT INTO documents (kind, id, version, body) VALUES (?, ?, ?, ?)
      ON CONFLICT (kind, id) DO UPDATE SET version = excluded.version, body = excluded.body`),
    list: database.prepare<Document, [string, string, string, string, number]>(`
      SELECT id, version, body FROM documents
      WHERE kind = ? AND id >= ? AND id < ? AND id > ? ORDER BY id LIMIT ?`),
    kinds: database.prepare("SELECT DISTINCT kind FROM documents ORDER BY kind"),
    delete: database.prepare("DELETE FROM documents WHERE kind = ? AND id = ?"),
    beat: database.prepare("INSERT OR REPLACE INTO servers (id, until, body) VALUES (?, ?, ?)"),
    purgeServers: database.prepare("DELETE FROM servers WHERE until <= ?"),
    servers: database.prepare<LiveServer, [number]>(
      "SELECT id, body FROM servers WHERE until > ? ORDER BY id",
    ),
    leave: database.prepare("DELETE FROM servers WHERE id = ?"),
  };
}

export class Documents {
  readonly #sql: ReturnType<typeof prepareStatements>;

  constructor(database: Database) {
    this.#sql = prepareStatements(database);
  }

  get(kind: string, id: string): Document | undefined {
    return this.#sql.get.get(kind, id) ?? undefined;
  }

  put(request: PutRequest): PutAnswer {
    const { kind, id } = request;
    const { answer, document } = putDocument(this.get(kind, id), request);
    if (document !== undefined) this.#sql.put.run(kind, id, document.version, document.body);
    return answer;
  }

  list(request: ListDocumentsRequest): Document[] {
    const { kind, prefix = "", after = "", limit } = request;
    return this.#sql.list.all(kind, prefix, prefix + lastCharacter, after, limit);
  }

  kinds(): string[] {
    return this.#sql.kinds.values().map(([kind]) => kind as string);
  }

  restore({ kind, document }: RestoreDocumentRequest): void {
    const { id, version, body } = document;
    this.#sql.put.run(kind, id, version, body);
  }

  delete(kind: string, id: string): boolean {
    return this.#sql.delete.run(kind, id).changes > 0;
  }

  beat(server: BeatRequest): void {
    this.#sql.purgeServers.run(server.now);
    this.#sql.beat.run(server.id, server.now + server.ttlMs, server.body);
  }

  servers(now: number): LiveServer[] {
    return this.#sql.servers.all(now);
  }

  leave(id: string): void {
    this.#sql.leave.run(id);
  }
}
