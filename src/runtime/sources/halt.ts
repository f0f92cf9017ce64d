/** Rests that a stop cuts short. */
import { type Clock, waitOf } from "../../base/clock.ts";

export class Halt {
  readonly #clock: Clock;
  readonly #abort = new AbortController();
  /** Of those that rest: hundreds, so that the signal is not asked to call them. */
  readonly #ends = new Set<() => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isOver(): boolean {
    return this.#abort.signal.aborted;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  now(): void {
    this.#abort.abort();
    for (const end of this.#ends) end();
  }

  rest(ms: number): Promise<void> {
    if (this.isOver) return Promise.resolve();
    const { over, end } = waitOf(ms, this.#clock);
    this.#ends.add(end);
    return over.finally(() => this.#ends.delete(end));
  }

  /** To the end of this turn of the event loop. */
  turn(): Promise<void> {
    return new Promise((resolve) => this.#clock.soon(resolve));
  }
}
