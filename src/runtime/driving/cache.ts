/**
 * Executions in memory: a bounded cache, trusted only because every commit compares the head. Least
 * recently used goes first; whatever is uncertain is dropped and read again.
 */
import { charsOf } from "../../engine/stored/codec.ts";
import type { Execution } from "../../model/execution.ts";
import type { Head } from "../../store/store.ts";

export interface CachedExecution {
  readonly head: Head;
  readonly execution: Execution;
}

interface Entry extends CachedExecution {
  readonly bytes: number;
}

/** About what it takes: all that is in its data, whether it was written or only read. */
function bytesOf({ data, dataChars = charsOf(data), records }: Execution): number {
  return 1_000 + records.length * 500 + data.size * 100 + dataChars;
}

export class ExecutionCache {
  readonly #entries = new Map<string, Entry>();
  readonly #countMax: number;
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bounds: { countMax: number; bytesMax: number }) {
    this.#countMax = bounds.countMax;
    this.#bytesMax = bounds.bytesMax;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(id: string): CachedExecution | undefined {
    return this.#entries.get(id);
  }

  put(id: string, { head, execution }: CachedExecution): void {
    const entry = { head, execution, bytes: bytesOf(execution) };
    const before = this.#entries.get(id);
    if (before !== undefined) {
      this.#bytes -= before.bytes;
      // A Map keeps the order of insertion: taking it out first makes it the latest.
      this.#entries.delete(id);
    }
    this.#entries.set(id, entry);
    this.#bytes += entry.bytes;
    while (this.#entries.size > this.#countMax || this.#bytes > this.#bytesMax) {
      const oldest = this.#entries.keys().next().value;
      if (oldest === undefined) break;
      this.drop(oldest);
    }
  }

  drop(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.delete(id);
    this.#bytes -= entry.bytes;
  }
}
