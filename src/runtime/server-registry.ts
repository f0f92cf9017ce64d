/** This server's entry among the live ones: beaten at intervals, gone after a few missed beats. */
import type { Clock } from "../clock.ts";
import { limits } from "../limits.ts";
import { asError, type Logger } from "../log.ts";
import type { Store } from "../store/store.ts";
import type { ServerView } from "./orchestrator.ts";

export class ServerRegistry {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #log: Logger;
  #self: ServerView | undefined;
  #cancel: (() => void) | undefined;
  #beating: Promise<void> = Promise.resolve();

  constructor(parts: { store: Store; clock: Clock; log: Logger }) {
    this.#store = parts.store;
    this.#clock = parts.clock;
    this.#log = parts.log;
  }

  async join(self: ServerView): Promise<void> {
    this.#self = self;
    await this.#beat();
  }

  async #beat(): Promise<void> {
    const self = this.#self;
    if (self === undefined) return;
    try {
      await this.#store.beatServer({
        id: self.id,
        body: JSON.stringify(self),
        now: this.#clock.now(),
        ttlMs: limits.serverTtlMs,
      });
    } catch (error) {
      this.#log.warn("the server registry could not be written", { error: asError(error) });
    }
    if (this.#self === undefined) return;
    this.#cancel = this.#clock.after(limits.serverBeatMs, () => {
      this.#beating = this.#beat();
    });
  }

  /** Never empty: this server is live, whatever the registry has heard. */
  async list(): Promise<readonly ServerView[]> {
    const rows = await this.#store.listServers({ now: this.#clock.now() });
    const servers = rows.map((row) => JSON.parse(row.body) as ServerView);
    const self = this.#self;
    if (self !== undefined && !servers.some((server) => server.id === self.id)) servers.push(self);
    return servers;
  }

  async leave(): Promise<void> {
    const id = this.#self?.id;
    this.#self = undefined;
    this.#cancel?.();
    await this.#beating;
    if (id === undefined) return;
    // An entry that cannot be taken out lapses by itself; what else is to be ended must not wait.
    await this.#store.leaveServer({ id }).catch((error) => {
      this.#log.warn("the server registry could not be left", { error: asError(error) });
    });
  }
}
