/** Ends of retentions come in one order over all partitions, whatever other timers lie between. */
import { expect, test } from "bun:test";
import { limits } from "../../src/limits.ts";
import { RetentionEnds } from "../../src/runtime/retention-ends.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { partitions, start, t0 } from "../store/conformance/subject.ts";
import { Chance } from "../support/chance.ts";

test("each end of a retention comes once, the soonest first, and then all anew", async () => {
  const store = new MemoryStore({ partitions });
  const chance = new Chance(7);
  const dues: number[] = [];
  // More than a page of each partition.
  for (let i = 0; i < partitions * limits.timersListedMax * 2; i++) {
    const isRetention = chance.percent(40);
    const due = t0 + chance.below(100_000);
    if (isRetention) dues.push(due);
    const timers = [{ id: isRetention ? "retention" : "other", at: due }];
    await start(store, `e${i}`, { effects: { timers } });
  }
  const ends = new RetentionEnds(store);
  const all = async (of: readonly number[]) => {
    const found: number[] = [];
    for (;;) {
      const page = await ends.next(of, 64);
      if (page.length === 0) return found;
      expect(page.length).toBeLessThanOrEqual(64);
      expect(page.every(({ id }) => id === "retention")).toBe(true);
      found.push(...page.map(({ due }) => due));
    }
  };
  const everywhere = Array.from({ length: partitions }, (_, partition) => partition);
  const inOrder = dues.sort((a, b) => a - b);
  expect(await all(everywhere)).toEqual(inOrder);
  expect(await all(everywhere)).toEqual([]);
  ends.reset();
  const halves = [await all([0, 1]), await all([2, 3])];
  expect(halves.flat().sort((a, b) => a - b)).toEqual(inOrder);
});
