/** Lines of a log are rationed by the time that passes, whatever is done to the machine's clock. */
import { expect, test } from "bun:test";
import { Ration } from "../../src/base/ration.ts";
import { HandClock } from "../support/hand-clock.ts";

class SetClock extends HandClock {
  elapsed = () => this.elapsedMs;
}

test("a clock that is set back keeps no line back for longer", async () => {
  const clock = new SetClock();
  const ration = new Ration(clock, { linesMax: 1, windowMs: 1_000 });
  const leftOut: number[] = [];
  const allows = () => ration.allows("away", (count) => leftOut.push(count));
  expect([allows(), allows()]).toEqual([true, false]);
  clock.shiftMs = -3_600_000;
  expect(allows()).toBe(false);
  await clock.pass(1_000);
  expect(leftOut).toEqual([2]);
  expect(allows()).toBe(true);
});
