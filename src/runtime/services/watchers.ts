/** Callers that wait for something to happen to an execution on this server. */
import type { Committed } from "../driving/committed.ts";

type Listener = (committed: Committed) => void;

export class Watchers {
  readonly #listeners = new Map<string, Set<Listener>>();

  /** Returns a function that ends it. */
  add(executionId: string, listener: Listener): () => void {
    let listeners = this.#listeners.get(executionId);
    if (listeners === undefined) {
      listeners = new Set();
      this.#listeners.set(executionId, listeners);
    }
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#listeners.delete(executionId);
    };
  }

  notify(committed: Committed): void {
    if (this.#listeners.size === 0) return;
    const listeners = this.#listeners.get(committed.key.id);
    if (listeners === undefined) return;
    for (const listener of [...listeners]) listener(committed);
  }
}
