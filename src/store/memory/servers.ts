/** The registry of servers, in memory. */
import type { JsonText } from "../../model/json.ts";
import { compareText } from "../kit/order.ts";
import type { BeatRequest, LiveServer, ServerStore } from "../store.ts";

export class MemoryServers implements ServerStore {
  readonly #servers = new Map<string, { readonly body: JsonText; readonly until: number }>();

  async beatServer({ id, body, now, ttlMs }: BeatRequest): Promise<void> {
    this.#servers.set(id, { body, until: now + ttlMs });
  }

  async listServers({ now }: { readonly now: number }): Promise<readonly LiveServer[]> {
    for (const [id, { until }] of this.#servers) if (until <= now) this.#servers.delete(id);
    return [...this.#servers]
      .map(([id, { body }]) => ({ id, body }))
      .sort((a, b) => compareText(a.id, b.id));
  }

  async leaveServer({ id }: { readonly id: string }): Promise<void> {
    this.#servers.delete(id);
  }
}
