/** Deadlines of many things, with one timer. */
import { expect, test } from "bun:test";
import { Deadlines } from "../../src/aws/deadlines.ts";
import { HandClock } from "../support/hand-clock.ts";

test("each ends at its moment, unless it was done before", async () => {
  const clock = new HandClock();
  const deadlines = new Deadlines(clock);
  const ended: string[] = [];
  const add = (name: string, ms: number) =>
    deadlines.add(ms, () => void ended.push(`${name} ${clock.elapsedMs}`));
  add("slow", 1_000);
  const done = add("done", 100);
  add("fast", 200);
  await clock.pass(50);
  add("late", 200);
  done();
  await clock.pass(2_000);
  expect(ended).toEqual(["fast 200", "late 250", "slow 1000"]);
  add("again", 10);
  await clock.pass(10);
  expect(ended.at(-1)).toBe("again 2060");
});

test("one timer serves many", () => {
  let timers = 0;
  const clock = new HandClock();
  const counting = {
    now: () => clock.now(),
    soon: (callback: () => void) => clock.soon(callback),
    after(ms: number, callback: () => void) {
      timers += 1;
      return clock.after(ms, callback);
    },
  };
  const deadlines = new Deadlines(counting);
  for (let i = 0; i < 1_000; i++) deadlines.add(5_000, () => {})();
  expect(timers).toBe(1);
});
