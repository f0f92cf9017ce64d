/**
 * How far the clock of a database is ahead of this process's, measured again every ten seconds. In
 * between it goes on by the time that passes, so that it does not jump with this process's clock.
 */
import type { Clock } from "../../base/clock.ts";
import { measureMs, measureOffset } from "./clock-offset.ts";

export class NodeClock {
  readonly #read: () => Promise<number>;
  readonly #clock: Clock;
  #offset = 0;
  /** What this process's clock is ahead of the time that passes, when it was measured. */
  #ahead = 0;
  #cancel: (() => void) | undefined;
  #isClosed = false;

  /** `read`: what the time is there, in milliseconds. */
  constructor(read: () => Promise<number>, clock: Clock) {
    this.#read = read;
    this.#clock = clock;
  }

  /** Whole milliseconds, to be added to what this process's clock says. */
  get offset(): number {
    return this.#offset + Math.round(this.#ahead - this.#aheadNow());
  }

  #aheadNow(): number {
    const { elapsed } = this.#clock;
    return elapsed === undefined ? 0 : this.#clock.now() - elapsed();
  }

  /** Throws what `read` throws. */
  async measure(): Promise<void> {
    const { offset, roundTrip } = await measureOffset(this.#read, this.#clock);
    if (!Number.isFinite(roundTrip)) return;
    this.#offset = Math.round(offset);
    this.#ahead = this.#aheadNow();
  }

  /** A failure leaves the old offset. */
  keepMeasuring(): void {
    if (this.#isClosed) return;
    this.#cancel = this.#clock.after(measureMs, () => {
      this.measure()
        .catch(() => {})
        .finally(() => this.keepMeasuring());
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
  }
}
