/** The time of a store never goes back, whatever is done to the clock of its machine. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Clock, goOn, neverBack, pause, systemClock } from "../../src/base/clock.ts";

/** A clock that the test sets, beside one that only runs. */
function makeClock() {
  let [wall, passed] = [1_000_000, 0];
  const clock: Clock = { ...systemClock, now: () => wall, elapsed: () => passed };
  const run = (ms: number) => {
    wall += ms;
    passed += ms;
  };
  const set = (ms: number) => {
    wall += ms;
  };
  return { clock, run, set };
}

describe("a clock that never goes back", () => {
  test("goes on while the machine's is behind, and follows it ahead at once", () => {
    const { clock, run, set } = makeClock();
    const { now } = neverBack(clock);
    expect(now()).toBe(1_000_000);
    set(-3_600_000);
    expect(now()).toBe(1_000_000);
    run(5_000);
    expect(now()).toBe(1_005_000);
    set(3_600_000);
    expect(now()).toBe(1_005_000);
    set(60_000);
    expect(now()).toBe(1_065_000);
  });

  test("begins at the time that was reached before", () => {
    const { clock, run } = makeClock();
    const { now } = neverBack(clock, 1_500_000);
    run(10);
    expect(now()).toBe(1_500_010);
  });

  test("a clock without another beside it is taken as it is", () => {
    const { elapsed: _, ...clock } = systemClock;
    expect(neverBack(clock)).toBe(clock);
  });

  test("whatever happens, it gains what passes at least, and is never behind the machine's", () => {
    const step = fc.record({ set: fc.integer({ min: -9e6, max: 9e6 }), run: fc.nat(100_000) });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const { clock, run, set } = makeClock();
        const { now } = neverBack(clock);
        let last = now();
        for (const one of steps) {
          set(one.set);
          run(one.run);
          const time = now();
          expect(time).toBeGreaterThanOrEqual(Math.max(last + one.run, clock.now()));
          last = time;
        }
      }),
    );
  });
});

describe("a pause", () => {
  /** Keeps what is due, and ends it when it is told to. */
  function makeTimers() {
    const due = new Set<() => void>();
    const clock: Clock = {
      ...systemClock,
      after(_ms, callback) {
        due.add(callback);
        return () => due.delete(callback);
      },
    };
    return { clock, due };
  }

  test("ends when its time has passed", async () => {
    const { clock, due } = makeTimers();
    const paused = pause(1_000, clock, new AbortController().signal);
    for (const end of due) end();
    expect(await paused).toBeUndefined();
  });

  test("ends when its signal is aborted, and leaves no timer", async () => {
    const { clock, due } = makeTimers();
    const ending = new AbortController();
    const paused = pause(1_000, clock, ending.signal);
    expect(due.size).toBe(1);
    ending.abort();
    expect(await paused).toBeUndefined();
    expect(due.size).toBe(0);
    expect(await pause(1_000, clock, ending.signal)).toBeUndefined();
    expect(due.size).toBe(0);
  });
});

test("a time that goes on does not jump with the machine's", () => {
  const { clock, run, set } = makeClock();
  const { now } = goOn(clock);
  set(3_600_000);
  run(20);
  expect(now()).toBe(1_000_020);
  expect(clock.now()).toBe(4_600_020);
});
