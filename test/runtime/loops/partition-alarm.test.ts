/** The alarm rings when it should, also when the clock is set while it sleeps. */
import { expect, test } from "bun:test";
import { PartitionAlarm } from "../../../src/runtime/loops/partition-alarm.ts";
import { HandClock } from "../../support/hand-clock.ts";

test.each([3_600_000, 60_000, -3_600_000])(
  "partitions are looked at as often as before when the clock was %d ms off for a moment",
  async (jumpMs) => {
    const clock = new HandClock();
    const rings = [0, 0];
    let isWrong = false;
    const alarm = new PartitionAlarm({
      partitions: 2,
      clock,
      restMs: (partition) => (partition === 0 ? 1_000 : 10_000),
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
