/** Documents and the registry of servers, in memory. */
import type { JsonText } from "../../model/json.ts";
import { compareText } from "../rules.ts";
import type { Document, PutAnswer } from "../store.ts";

export class MemoryDocuments {
  readonly #kinds = new Map<string, Map<string, Document>>();
  readonly #servers = new Map<string, { readonly body: JsonText; readonly until: number }>();

  get(kind: string, id: string): Document | undefined {
    return this.#kinds.get(kind)?.get(id);
  }

  /** A put that finds its own result is a repeat of itself. */
  put(request: { kind: string; id: string; body: JsonText; expectedVersion: number }): PutAnswer {
    const { kind, id, body, expectedVersion } = request;
    const known = this.get(kind, id);
    const current = known?.version ?? 0;
    const version = expectedVersion + 1;
    if (current === version && known?.body === body) return { outcome: "saved", version };
    if (current !== expectedVersion) return { outcome: "conflict", version: current };
    const documents = this.#kinds.get(kind) ?? new Map<string, Document>();
    documents.set(id, { id, version, body });
    this.#kinds.set(kind, documents);
    return { outcome: "saved", version };
  }

  list(request: { kind: string; prefix?: string; after?: string; limit: number }): Document[] {
    const { kind, prefix = "", after, limit } = request;
    return [...(this.#kinds.get(kind)?.values() ?? [])]
      .filter(({ id }) => id.startsWith(prefix))
      .filter(({ id }) => after === undefined || compareText(id, after) > 0)
      .sort((a, b) => compareText(a.id, b.id))
      .slice(0, limit);
  }

  delete(kind: string, id: string): boolean {
    return this.#kinds.get(kind)?.delete(id) ?? false;
  }

  beat(server: { id: string; body: JsonText; now: number; ttlMs: number }): void {
    this.#servers.set(server.id, { body: server.body, until: server.now + server.ttlMs });
  }

  servers(now: number): { readonly id: string; readonly body: JsonText }[] {
    for (const [id, server] of this.#servers) if (server.until <= now) this.#servers.delete(id);
    return [...this.#servers]
      .map(([id, { body }]) => ({ id, body }))
      .sort((a, b) => compareText(a.id, b.id));
  }

  leave(id: string): void {
    this.#servers.delete(id);
  }
}
