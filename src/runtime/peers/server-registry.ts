/**
 * This server's entry among the live ones: beaten at intervals, gone after a few missed beats. On a
 * shared store it also reads which others are live, soon enough that timers of a server that has
 * died fire within two seconds (15 where looks are billed), and which format of stored records all
 * of them read.
 */
import type { Clock } from "../../base/clock.ts";
import { currentFormat } from "../../model/format.ts";
import type { Store } from "../../store/store.ts";
import type { Logger } from "../../telemetry/log.ts";
import { logFault } from "../shared/faults.ts";
import type { ServerBeat, ServerView } from "../shared/orchestrator.ts";
import { paceOf } from "../shared/pace.ts";
import type { Formats } from "./formats.ts";
import type { Standstill } from "./standstill.ts";

/** Of the store as a whole. */
const noPartition = -1;

export class ServerRegistry {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #formats: Formats;
  readonly #standstill: Standstill;
  readonly #onLive: (self: string, servers: readonly string[]) => void;
  readonly #onLost: () => void;
  readonly #news: () => Partial<ServerBeat>;
  readonly #onBeats: (self: string, beats: readonly ServerBeat[]) => void;
  #self: ServerView | undefined;
  #cancel: (() => void) | undefined;
  #beating: Promise<void> = Promise.resolve();

  /**
   * `onLive`: the ids of all live servers that read what is written, this one among them, at each
   * beat. `onLost`: the store did not take one; when it is back, it may have lost what it had
   * acknowledged. `news`: what is sent to the others with a beat, which receive it by `onBeats`.
   */
  constructor(options: {
    store: Store;
    clock: Clock;
    log: Logger;
    formats: Formats;
    standstill: Standstill;
    onLive: (self: string, servers: readonly string[]) => void;
    onLost: () => void;
    news: () => Partial<ServerBeat>;
    onBeats: (self: string, beats: readonly ServerBeat[]) => void;
  }) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#formats = options.formats;
    this.#standstill = options.standstill;
    this.#onLive = options.onLive;
    this.#onLost = options.onLost;
    this.#news = options.news;
    this.#onBeats = options.onBeats;
  }

  async join(self: ServerView): Promise<void> {
    this.#self = { ...self, format: currentFormat };
    await this.#beat();
  }

  async #beat(): Promise<void> {
    const self = this.#self;
    if (self === undefined) return;
    const { shared } = this.#store.traits;
    const { beatMs, ttlMs } = paceOf(this.#store.traits);
    try {
      const beat = {
        id: self.id,
        body: JSON.stringify({ ...self, ...this.#news() }),
        now: this.#clock.now(),
        ttlMs,
      };
      await this.#standstill.ask(noPartition, () => this.#store.beatServer(beat));
      const live = shared ? await this.#beats() : [self];
      if (this.#self !== undefined) {
        const able = live.filter((server) => this.#formats.isRead(server));
        const ids = able.map(({ id }) => id);
        this.#onLive(self.id, ids);
        this.#onBeats(self.id, live);
        await this.#formats.look(live);
      }
    } catch (error) {
      logFault(this.#log, "the server registry could not be written", error);
      this.#onLost();
    }
    if (this.#self === undefined) return;
    this.#cancel = this.#clock.after(beatMs, () => {
      this.#beating = this.#beat();
    });
  }

  /** Never empty: this server is live, whatever the registry has heard. */
  async list(): Promise<readonly ServerView[]> {
    const beats = await this.#beats();
    return beats.map(({ wants: _wants, sees: _sees, ...server }) => server);
  }

  async #beats(): Promise<readonly ServerBeat[]> {
    const rows = await this.#store.listServers({ now: this.#clock.now() });
    const servers = rows.map((row) => JSON.parse(row.body) as ServerBeat);
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
      logFault(this.#log, "the server registry could not be left", error);
    });
  }
}
