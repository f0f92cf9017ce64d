/**
 * Which format of stored records may be written while servers of several versions share a store.
 *
 * The store holds the number (a new one begins with the newest), and it only ever rises; a server
 * that does not read it refuses to start. So a server never has to trust that it knows who is live
 * now: what the store said once stays true, also for a server that was frozen in between.
 *
 * Each server raises it to what all live servers read, once that has held at every beat for
 * `formatDelayMs`. The pause is for those that are live without being seen: a server that has read
 * the number, but is not listed yet; one that was cut off; one that its supervisor starts again.
 * Until the number is raised, the older version can be started again, afterwards it cannot.
 *
 * A server that is frozen for longer than the pause comes back to a store that it may not read. One
 * that knows of formats (3 and later) finds out at its first beat and ends itself. One of format 2
 * cannot: it refuses each newer state that it loads, and changes older ones without what came with
 * the newer format. The others report it by name, prefer no partition to be looked after by it, and
 * rely on nothing that it does not do (`readByAll`).
 */
import type { Clock } from "../../base/clock.ts";
import { currentFormat, oldestFormat } from "../../model/format.ts";
import type { Store } from "../../store/store.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { ServerView } from "../shared/orchestrator.ts";
import { paceOf } from "../shared/pace.ts";

export class Formats {
  readonly #options: FormatsOptions;
  /** Since when every live server has been seen to read more than is written. */
  #since: number | undefined;
  #lookedAt = 0;
  #readByAll: number | undefined;
  readonly #reported = new Set<string>();

  constructor(options: FormatsOptions) {
    this.#options = options;
  }

  /** The format in which everything is to be written now; synchronous, as each commit reads it. */
  written(): number {
    return Math.min(this.#options.store.format?.() ?? currentFormat, currentFormat);
  }

  /** What every live server reads, as of the last beat; undefined: there was none yet. */
  readByAll(): number | undefined {
    return this.#readByAll;
  }

  /** Whether the server reads what is written. */
  isRead({ format = oldestFormat }: ServerView): boolean {
    return format >= this.written();
  }

  /** What is wrong with the formats of this store's servers; undefined: nothing. */
  complaint(): string | undefined {
    const stored = this.#options.store.format?.() ?? currentFormat;
    if (stored <= currentFormat) return undefined;
    return `The store holds format ${stored}, and this server reads up to ${currentFormat}: update it.`;
  }

  /** At each beat, with the live servers. */
  async look(live: readonly ServerView[]): Promise<void> {
    const { store, clock, log, formatDelayMs, onOutdated } = this.#options;
    const readByAll = Math.min(currentFormat, ...live.map(formatOf));
    this.#readByAll = readByAll;
    if (store.raiseFormat === undefined) return;
    const now = clock.now();
    const seenAllAlong = now - this.#lookedAt < paceOf(store.traits).ttlMs;
    this.#lookedAt = now;
    const stored = await store.raiseFormat(oldestFormat);
    if (stored > currentFormat) return onOutdated(this.complaint()!);
    if (readByAll < stored) this.#report(live, stored);
    if (readByAll <= stored) {
      this.#since = undefined;
      return;
    }
    if (this.#since === undefined || !seenAllAlong) this.#since = now;
    if (now - this.#since < formatDelayMs) return;
    await store.raiseFormat(readByAll);
    log.info("all servers read a newer format of the store; it is written from now on", {
      format: readByAll,
    });
  }

  #report(live: readonly ServerView[], stored: number): void {
    for (const server of live) {
      if (formatOf(server) >= stored || this.#reported.has(server.id)) continue;
      this.#reported.add(server.id);
      this.#options.log.error("a server does not read the format that the others write: stop it", {
        server: server.name,
        version: server.version,
        reads: formatOf(server),
        format: stored,
      });
    }
  }
}

interface FormatsOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  /** How long the older version can be started again after its last server has gone. */
  readonly formatDelayMs: number;
  /** This server must not go on: others have raised the format beyond what it reads. */
  readonly onOutdated: (reason: string) => void;
}

function formatOf({ format = oldestFormat }: ServerView): number {
  return format;
}
