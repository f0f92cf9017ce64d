/** How many lines of one kind a log takes in a time, so that no event fills the disk. */
import { type Clock, elapsedOf } from "./clock.ts";

/** By default, of each message. */
const linesMax = 100;
const windowMs = 10_000;

interface RationOptions {
  readonly linesMax: number;
  readonly windowMs: number;
  /** Further keys share one window. */
  readonly keysMax?: number;
}

/** What was left out is counted, and reported when its time is over. */
export class Ration {
  readonly #clock: Clock;
  readonly #options: RationOptions;
  readonly #windows = new Map<string, { until: number; lines: number; leftOut: number }>();

  constructor(clock: Clock, options: RationOptions = { linesMax, windowMs }) {
    this.#clock = clock;
    this.#options = options;
  }

  /** `tell` is called later with how many lines were left out, if this is the first of them. */
  allows(wanted: string, tell: (leftOut: number) => void): boolean {
    const { linesMax, windowMs } = this.#options;
    const now = elapsedOf(this.#clock);
    const key = this.#windows.has(wanted) || this.#hasRoom(now) ? wanted : "";
    let window = this.#windows.get(key);
    if (window === undefined || now >= window.until) {
      window = { until: now + windowMs, lines: 0, leftOut: 0 };
      this.#windows.delete(key);
      this.#windows.set(key, window);
    }
    window.lines += 1;
    if (window.lines <= linesMax) return true;
    window.leftOut += 1;
    const { until } = window;
    const ended = window;
    if (window.leftOut === 1) this.#clock.after(until - now, () => tell(ended.leftOut));
    return false;
  }

  /** The windows are in the order in which they end. */
  #hasRoom(now: number): boolean {
    const { keysMax = Number.POSITIVE_INFINITY } = this.#options;
    for (const [key, { until }] of this.#windows) {
      if (this.#windows.size < keysMax) return true;
      if (until > now) return false;
      this.#windows.delete(key);
    }
    return true;
  }
}
