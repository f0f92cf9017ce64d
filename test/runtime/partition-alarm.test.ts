/** The alarm rings when it should, also when the clock is set while it sleeps. */
import { expect, test } from "bun:test";
import type { Clock } from "../../src/clock.ts";
import { PartitionAlarm } from "../../src/runtime/partition-alarm.ts";

/** Time passes when it is told to; the time of day can be set apart from it. */
class HandClock implements Clock {
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

test.each([3_600_000, 60_000, -3_600_000])(
  "partitions are looked at as often as before when the clock was %d ms off for a moment",
  async (jumpMs) => {
    const clock = new HandClock();
    const rings = [0, 0];
    let isWrong = false;
    const alarm = new PartitionAlarm({
      ...{ partitions: 2, clock, restMs: (partition) => (partition === 0 ? 1_000 : 10_000) },
      async ring(partition) {
        rings[partition] = (rings[partition] as number) + 1;
        // As when a store refuses the moment, upon which the clock is put right.
        if (isWrong) throw new Error("skewed");
        return undefined;
      },
    });
    alarm.start();
    await clock.pass(30_000);
    const before = [...rings];
    expect(before[0]).toBeGreaterThanOrEqual(29);
    expect(before[1]).toBeGreaterThanOrEqual(3);
    isWrong = true;
    clock.shiftMs = jumpMs;
    await clock.pass(11_000);
    isWrong = false;
    clock.shiftMs = 0;
    const struck = [...rings];
    await clock.pass(62_000);
    // Asleep for a minute at most, it looks again.
    expect(rings[0]).toBeGreaterThan(struck[0] as number);
    expect(rings[1]).toBeGreaterThan(struck[1] as number);
    const awake = [...rings];
    await clock.pass(30_000);
    expect((rings[0] as number) - (awake[0] as number)).toBeGreaterThanOrEqual(29);
    expect((rings[1] as number) - (awake[1] as number)).toBeGreaterThanOrEqual(2);
    await alarm.stop();
  },
);
