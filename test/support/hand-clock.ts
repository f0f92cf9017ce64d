import type { Clock } from "../../src/base/clock.ts";

/** Time passes when the test says so; the time of day can be set apart from it. */
export class HandClock implements Clock {
  elapsedMs = 0;
  shiftMs = 0;
  readonly #sleeps = new Map<() => void, number>();

  now(): number {
    return 1_760_000_000_000 + this.elapsedMs + this.shiftMs;
  }

  after(ms: number, callback: () => void): () => void {
    this.#sleeps.set(callback, this.elapsedMs + ms);
    return () => void this.#sleeps.delete(callback);
  }

  soon(callback: () => void): void {
    queueMicrotask(callback);
  }

  async pass(ms: number): Promise<void> {
    const until = this.elapsedMs + ms;
    for (;;) {
      const next = [...this.#sleeps].sort((a, b) => a[1] - b[1])[0];
      if (next === undefined || next[1] > until) break;
      this.elapsedMs = Math.max(this.elapsedMs, next[1]);
      this.#sleeps.delete(next[0]);
      next[0]();
      // What the callback has begun goes on as far as it can.
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    this.elapsedMs = until;
  }
}
