/**
 * Enters executions that earlier versions have left into indexes that came after them: a few at a
 * time, in the partitions that prefer this server, once every server maintains these indexes. A
 * partition that is cut short is gone on with where it was; one that is done is looked at again now
 * and then, as an older copy of the store may have been restored. Where a server that does not
 * maintain them comes back, lists take other indexes, and all is entered anew once it has gone.
 */
import type { Clock } from "../../base/clock.ts";
import { limits } from "../../base/limits.ts";
import type { Store } from "../../store/store.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Formats } from "../peers/formats.ts";
import { logFault } from "../shared/faults.ts";

/** Servers that read it maintain all indexes. */
const indexedFormat = 3;

export interface IndexingParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly formats: Pick<Formats, "written" | "readByAll">;
  readonly prefers: (partition: number) => boolean;
}

export class Indexing {
  readonly #parts: IndexingParts;
  #next = 0;
  /** Partitions in a row that had nothing to enter, or prefer others. */
  #idle = 0;
  /** A server is live that does not maintain them, or was, and what was entered still counts. */
  #isMixed = false;
  #isForgotten = false;
  #isRunning = false;
  #cancel: (() => void) | undefined;
  #working: Promise<void> = Promise.resolve();

  constructor(parts: IndexingParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#isRunning = this.#parts.store.indexExecutions !== undefined;
    this.#rest(0);
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    this.#cancel?.();
    await this.#working;
  }

  #rest(ms: number): void {
    if (!this.#isRunning) return;
    const { clock, log } = this.#parts;
    this.#cancel = clock.after(ms, () => {
      this.#working = this.#goOn()
        .catch((error) => {
          logFault(log, "executions could not be entered into an index", error);
          return false;
        })
        .then((isMore) => this.#rest(isMore ? limits.indexRestMs : limits.indexLookMs));
    });
  }

  /** Returns whether there may be more to do. */
  async #goOn(): Promise<boolean> {
    const { store, formats, prefers } = this.#parts;
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
      const limit = limits.indexedPerCall;
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
    const { store } = this.#parts;
    for (let partition = 0; partition < store.partitions; partition++) {
      await store.indexExecutions!({ partition, limit: 0 });
    }
    this.#isForgotten = true;
    this.#idle = 0;
  }
}
