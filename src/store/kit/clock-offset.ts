/** How far the clock of a store is ahead of this process's. */
import type { Clock } from "../../base/clock.ts";

/** Between two measurements. */
export const measureMs = 10_000;

const samples = 5;
/** Slow links are measured by fewer. */
const samplesMsMax = 2_000;

export interface ClockOffset {
  /** Milliseconds, to be added to what this process's clock says. */
  readonly offset: number;
  /** Milliseconds of the round trip that it was measured by; infinite: by none. */
  readonly roundTrip: number;
}

/** The sample with the smallest round trip counts; throws what `read` throws. */
export async function measureOffset(
  read: () => Promise<number>,
  clock: Clock,
): Promise<ClockOffset> {
  let best = { offset: 0, roundTrip: Number.POSITIVE_INFINITY };
  const startedAt = clock.now();
  for (let i = 0; i < samples && clock.now() - startedAt < samplesMsMax; i++) {
    const before = clock.now();
    const time = await read();
    const roundTrip = clock.now() - before;
    // Negative: this process's clock was set back in between.
    if (roundTrip >= 0 && roundTrip < best.roundTrip) {
      best = { offset: time - before - roundTrip / 2, roundTrip };
    }
  }
  return best;
}
