/**
 * Enters executions that earlier versions have left into indexes that came after them: a few at a
 * time, in the partitions that prefer this server, once every server maintains these indexes. A
 * partition that is cut short is gone on with where it was.
 */
import type { Clock } from "../clock.ts";
import { limits } from "../limits.ts";
import type { Logger } from "../log.ts";
import type { Store } from "../store/store.ts";
import { logFault } from "./faults.ts";
import type { Formats } from "./formats.ts";

/** Servers that write it maintain all indexes. */
const indexedFormat = 3;

export interface IndexingParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly formats: Pick<Formats, "written">;
  readonly prefers: (partition: number) => boolean;
}

export class Indexing {
  readonly #parts: IndexingParts;
  readonly #done = new Set<number>();
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
    if (formats.written() < indexedFormat) return false;
    for (let partition = 0; partition < store.partitions; partition++) {
      if (this.#done.has(partition) || !prefers(partition)) continue;
      const answer = await store.indexExecutions!({ partition, limit: limits.indexedPerCall });
      if (answer === "done") this.#done.add(partition);
      return true;
    }
    return false;
  }
}
