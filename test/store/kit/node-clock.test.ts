/** The clock of a database, seen from a process whose own one may jump. */
import { expect, test } from "bun:test";
import { NodeClock } from "../../../src/store/kit/node-clock.ts";

test("the time of the database goes on while this process's clock jumps", async () => {
  let passed = 0;
  let wrongBy = 250;
  const there = () => 1_000_000 + passed;
  const clock = {
    now: () => there() + wrongBy,
    elapsed: () => passed,
    after: () => () => {},
    soon: () => {},
  };
  const node = new NodeClock(async () => there(), clock);
  await node.measure();
  expect(clock.now() + node.offset).toBe(there());
  passed += 3_000;
  wrongBy += 3_600_000;
  expect(clock.now() + node.offset).toBe(there());
  wrongBy = -7_200_000;
  expect(clock.now() + node.offset).toBe(there());
  await node.measure();
  expect(node.offset).toBe(7_200_000);
});
