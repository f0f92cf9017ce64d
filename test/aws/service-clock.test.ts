/** The offset of a service's clock, from dates of whole seconds. */
import { expect, test } from "bun:test";
import { ServiceClock } from "../../src/aws/service-clock.ts";

const start = Date.UTC(2026, 0, 1);
const dateOf = (ms: number) => new Date(ms).toUTCString();

test("a clock that agrees is left as it is", () => {
  const clock = new ServiceClock();
  expect(clock.offset).toBe(0);
  for (let at = start; at < start + 5_000; at += 130) clock.note(dateOf(at), at, at + 3);
  expect(clock.offset).toBe(0);
});

test.each([-3_600_000, -2_345, 789, 61_250])("a clock that is %d ms off is found out", (offset) => {
  const clock = new ServiceClock();
  for (let at = start; at < start + 5_000; at += 130) {
    clock.note(dateOf(at + 2 + offset), at, at + 4);
  }
  // As exact as the requests are dense.
  expect(Math.abs(clock.offset - offset)).toBeLessThanOrEqual(140);
});

test("it follows a clock that is set, and ignores what is no date", () => {
  const clock = new ServiceClock();
  clock.note(dateOf(start), start, start + 5);
  clock.note(dateOf(start + 86_400_000), start + 1_000, start + 1_005);
  expect(Math.abs(clock.offset - 86_399_000)).toBeLessThanOrEqual(1_005);
  clock.note("yesterday", start, start + 5);
  clock.note(dateOf(start), start + 5, start);
  expect(Math.abs(clock.offset - 86_399_000)).toBeLessThanOrEqual(1_005);
});
