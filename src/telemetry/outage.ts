/**
 * Something that the server needs and that may be away for a while: logged once when it goes,
 * and once when it is back, however many calls fail in between.
 */
import type { Clock } from "../base/clock.ts";
import { asError, type Logger } from "./log.ts";

/** How long without a failure until it counts as back: half a cluster may be away. */
const backAfterMs = 3_000;

export class Outage {
  readonly #what: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  #since = 0;
  #failures = 0;
  #lastFailureAt = 0;
  /** The first good call after the last failure. */
  #goodSince: number | undefined;

  /** `what` begins a sentence: "The store". */
  constructor(what: string, options: { readonly clock: Clock; readonly log: Logger }) {
    this.#what = what;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  get open(): boolean {
    return this.#failures > 0;
  }

  failed(thrown: unknown): void {
    const now = this.#clock.now();
    if (!this.open) {
      this.#since = now;
      this.#log.warn(`${this.#what} is away`, { reason: asError(thrown).message });
    }
    this.#failures += 1;
    this.#lastFailureAt = now;
    this.#goodSince = undefined;
  }

  /** Costs nothing while it is there. */
  succeeded(): void {
    if (!this.open) return;
    const now = this.#clock.now();
    this.#goodSince ??= now;
    if (now - this.#lastFailureAt < backAfterMs) return;
    const awayMs = Math.max(0, this.#goodSince - this.#since);
    this.#log.warn(`${this.#what} is back`, { awayMs, failedCalls: this.#failures });
    this.#failures = 0;
  }
}
