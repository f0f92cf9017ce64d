/** Ends of retentions come in one order over all partitions, whatever other timers lie between. */
import { expect, test } from "bun:test";
import { limits } from "../../../src/base/limits.ts";
import { executionKey } from "../../../src/model/ids.ts";
import { RetentionEnds, timerPagesPerWalk } from "../../../src/runtime/loops/retention-ends.ts";
import { MemoryStore } from "../../../src/store/memory/memory-store.ts";
import type { Store } from "../../../src/store/store.ts";
import { createRequest, effects, partitions, start, t0 } from "../../store/conformance/subject.ts";
import { Chance } from "../../support/chance.ts";

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
      const { timers: page, isOver } = await ends.next(of, 64);
      if (isOver) return found;
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

test("very many other timers are passed over a bounded number at a time", async () => {
  const store = new MemoryStore({ partitions: 2 });
  const [much, little] = [0, 1];
  const idIn = (partition: number, name: string) =>
    Array.from({ length: 99 }, (_, i) => `${name}${i}`).find(
      (id) => executionKey(id, 2).partition === partition,
    )!;
  const add = async (id: string, timers: { id: string; at: number }[]) => {
    const key = executionKey(id, 2);
    await store.create({ ...createRequest(id), key, effects: effects({ timers }) });
  };
  const pages = timerPagesPerWalk * 1.5;
  const others = Array.from({ length: pages * limits.timersListedMax }, (_, i) => {
    return { id: `t${i}`, at: t0 + i };
  });
  await add(idIn(much, "m"), [...others, { id: "retention", at: t0 + 10 * others.length }]);
  await add(idIn(little, "l"), [{ id: "retention", at: t0 + 1 }]);
  let reads = 0;
  const listTimers = store.listTimers.bind(store);
  store.listTimers = (request) => {
    reads += 1;
    return listTimers(request);
  };
  const ends = new RetentionEnds(store);
  const next = async () => {
    const before = reads;
    const { timers, isOver } = await ends.next([much, little], 64);
    expect(reads - before).toBeLessThanOrEqual(timerPagesPerWalk);
    return { partitions: timers.map(({ key }) => key.partition), isOver };
  };
  // What the one partition holds does not wait for the other.
  expect(await next()).toEqual({ partitions: [little], isOver: false });
  expect(await next()).toEqual({ partitions: [much], isOver: false });
  expect(await next()).toEqual({ partitions: [], isOver: true });
});

test("a store that lists no timers has nothing to remove early", async () => {
  const store: Store = new MemoryStore({ partitions });
  await start(store, "e1", { effects: { timers: [{ id: "retention", at: t0 }] } });
  Object.assign(store, { listTimers: undefined });
  const ends = await new RetentionEnds(store).next([0, 1, 2, 3], 64);
  expect(ends).toEqual({ timers: [], isOver: true });
});
