/**
 * How far the clocks of Redis are ahead of this process's: measured by TIME, the answer with the
 * smallest round trip counting most, again every ten seconds and whenever a script complains.
 */
import type { Redis } from "ioredis";
import type { Clock } from "../../clock.ts";

const measureMs = 10_000;
const samples = 5;

async function offsetOf(node: Redis, clock: Clock): Promise<number> {
  let best = { offset: 0, roundTrip: Number.POSITIVE_INFINITY };
  for (let i = 0; i < samples; i++) {
    const before = clock.now();
    const [seconds, microseconds] = await node.time();
    const roundTrip = clock.now() - before;
    const time = Number(seconds) * 1_000 + Number(microseconds) / 1_000;
    // Negative: this process's clock was set back in between.
    if (roundTrip >= 0 && roundTrip < best.roundTrip)
      best = { offset: time - before - roundTrip / 2, roundTrip };
  }
  return best.offset;
}

export class NodeClock {
  readonly #masters: () => readonly Redis[];
  readonly #clock: Clock;
  #offset = 0;
  #measuring: Promise<void> | undefined;
  #cancel: (() => void) | undefined;
  #isClosed = false;

  constructor(masters: () => readonly Redis[], clock: Clock) {
    this.#masters = masters;
    this.#clock = clock;
  }

  /** Whole milliseconds, to be added to what this process's clock says. */
  get offset(): number {
    return this.#offset;
  }

  /** Once for those who ask at the same time; a failure leaves the old offset. */
  measure(): Promise<void> {
    this.#measuring ??= this.#measure().finally(() => {
      this.#measuring = undefined;
    });
    return this.#measuring;
  }

  async #measure(): Promise<void> {
    this.#cancel?.();
    const measured = await Promise.allSettled(
      this.#masters().map((node) => offsetOf(node, this.#clock)),
    );
    const offsets = measured
      .flatMap((one) => (one.status === "fulfilled" ? [one.value] : []))
      .sort((a, b) => a - b);
    // Of several nodes the one in the middle: scripts forgive each a second.
    const middle = offsets[offsets.length >> 1];
    if (middle !== undefined) this.#offset = Math.round(middle);
    if (this.#isClosed) return;
    this.#cancel = this.#clock.after(measureMs, () => void this.measure());
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
  }
}
