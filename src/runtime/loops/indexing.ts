/**
 * Enters executions that earlier versions have left into indexes that came after them: a few at a
 * time, in the partitions that prefer this server, once every server maintains these indexes. A
 * partition that is cut short is gone on with where it was; one that is done is looked at again now
 * and then, as an older copy of the store may have been restored. Where a server that does not
 * maintain them comes back, lists take other indexes, and all is entered anew once it has gone.
 */

import type { Clock } from "../../base/clock.ts";
import type { Store } from "../../store/store.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Formats } from "../peers/formats.ts";
import { Rounds } from "../shared/rounds.ts";

/** Executions that are entered at once into an index that was added after them. */
const indexedPerCall = 100;
/** Pause after one call. */
const indexRestMs = 20;
/** Time between two looks for executions that are not indexed. */
const indexLookMs = 1_000;

/** Servers that read it maintain all indexes. */
const indexedFormat = 3;

interface IndexingOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly formats: Pick<Formats, "written" | "readByAll">;
  readonly prefers: (partition: number) => boolean;
}

export class Indexing {
  readonly #options: IndexingOptions;
  readonly #rounds: Rounds;
  #next = 0;
  /** Partitions in a row that had nothing to enter, or prefer others. */
  #idle = 0;
  /** A server is live that does not maintain them, or was, and what was entered still counts. */
  #isMixed = false;
  #isForgotten = false;

  constructor(options: IndexingOptions) {
    this.#options = options;
    this.#rounds = new Rounds({
      clock: options.clock,
      log: options.log,
      round: async () => ((await this.#goOn()) ? indexRestMs : indexLookMs),
      failedRestMs: indexLookMs,
      failure: "executions could not be entered into an index",
    });
  }

  start(): void {
    if (this.#options.store.indexExecutions !== undefined) this.#rounds.start(0);
  }

  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  /** Returns whether there may be more to do. */
  async #goOn(): Promise<boolean> {
    const { store, formats, prefers } = this.#options;
    const readByAll = formats.readByAll();
    if (readByAll === undefined) return false;
    if (readByAll < indexedFormat) {
      this.#isMixed = true;
      if (!this.#isForgotten) await this.#forget();
      return false;
    }
    // Another server may have entered some before it saw the older one.
    if (this.#isMixed) await this.#forget();
    this.#isMixed = this.#isForgotten = false;
    if (formats.written() < indexedFormat) return false;
    for (let i = 0; i < store.partitions; i++) {
      const partition = this.#next;
      const limit = indexedPerCall;
      const isPreferred = prefers(partition);
      if (isPreferred && (await store.indexExecutions!({ partition, limit })) === "more") {
        this.#idle = 0;
        return true;
      }
      this.#next = (partition + 1) % store.partitions;
      this.#idle += 1;
      if (isPreferred) break;
    }
    return this.#idle < store.partitions;
  }

  /** In all partitions: those that prefer a server that has just died as well. */
  async #forget(): Promise<void> {
    const { store } = this.#options;
    for (let partition = 0; partition < store.partitions; partition++) {
      await store.indexExecutions!({ partition, limit: 0 });
    }
    this.#isForgotten = true;
    this.#idle = 0;
  }
}
