/**
 * Ends what takes too long. One timer serves all: nearly everything ends long before, and to set and
 * clear a timer costs as much as to sign a request.
 */
import { type Clock, elapsedOf } from "../base/clock.ts";

interface Waiting {
  readonly dueAt: number;
  readonly end: () => void;
}

export class Deadlines {
  readonly #clock: Clock;
  readonly #waiting = new Set<Waiting>();
  #timerAt = Number.POSITIVE_INFINITY;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `end` after `ms`, unless what is returned is called before. */
  add(ms: number, end: () => void): () => void {
    const waiting = { dueAt: elapsedOf(this.#clock) + ms, end };
    this.#waiting.add(waiting);
    if (waiting.dueAt < this.#timerAt) this.#setTimer(waiting.dueAt, ms);
    return () => void this.#waiting.delete(waiting);
  }

  #setTimer(at: number, ms: number): void {
    this.#cancel?.();
    this.#timerAt = at;
    this.#cancel = this.#clock.after(ms, () => this.#check());
  }

  #check(): void {
    const now = elapsedOf(this.#clock);
    this.#timerAt = Number.POSITIVE_INFINITY;
    let next = Number.POSITIVE_INFINITY;
    for (const waiting of [...this.#waiting]) {
      if (waiting.dueAt > now) next = Math.min(next, waiting.dueAt);
      else if (this.#waiting.delete(waiting)) waiting.end();
    }
    if (next < this.#timerAt) this.#setTimer(next, next - now);
  }
}
