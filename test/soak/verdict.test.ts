/** The soak run's judgement: of lines with and without noise, and of what is too short to tell. */
import { expect, test } from "bun:test";
import { Chance } from "../support/chance.ts";
import { fitSecondHalf, judge, type Point } from "./verdict.ts";

/** A sample every 10 s for half an hour. */
function points(valueAt: (seconds: number) => number): Point[] {
  return Array.from({ length: 180 }, (_, i) => ({ seconds: i * 10, value: valueAt(i * 10) }));
}

const verdictOf = (valueAt: (seconds: number) => number, allowed: number) =>
  judge(fitSecondHalf(points(valueAt)), allowed);

test("a line has its own slope, and no doubt", () => {
  const fit = fitSecondHalf(points((seconds) => 100 + seconds / 60));
  expect(fit.perHour).toBeCloseTo(60, 6);
  expect(fit.error).toBeCloseTo(0, 6);
  expect([judge(fit, 59), judge(fit, 61)]).toEqual(["grows", "flat"]);
});

test("what is only filled at first is flat; what shrinks is flat", () => {
  expect(verdictOf((seconds) => Math.min(seconds, 800), 1)).toBe("flat");
  expect(verdictOf((seconds) => 1_000 - seconds / 10, 1)).toBe("flat");
});

test("a slow leak is seen through noise that is larger than it", () => {
  const chance = new Chance(7);
  const noise = () => chance.below(10) - 5;
  // 1 MiB a minute.
  expect(verdictOf((seconds) => 150 + seconds / 60 + noise(), 16)).toBe("grows");
  expect(verdictOf(() => 150 + noise(), 16)).toBe("flat");
});

test("too few samples, or too restless ones, tell nothing", () => {
  const chance = new Chance(7);
  expect(verdictOf(() => chance.below(1_000), 1)).toBe("open");
  const two = points((seconds) => seconds).slice(0, 4);
  expect(judge(fitSecondHalf(two), 1)).toBe("open");
});
