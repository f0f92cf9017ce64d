/** A server whose clock is wrong does by the clock of its store what it does without a given moment. */
import { expect } from "bun:test";
import { type Clock, systemClock } from "../../../src/base/clock.ts";
import type { Store } from "../../../src/store/store.ts";
import { claim, newTask, start } from "../conformance/subject.ts";

const hourMs = 3_600_000;
/** More than clocks are measured apart on a busy machine, and far from an hour. */
const roomMs = 600_000;

/** `open`: another server, with this clock, on the same empty store. */
export async function followsTheStoresClock(open: (clock: Clock) => Promise<Store>) {
  const right = await open(systemClock);
  const now = () => Date.now() + (right.timeOffset?.() ?? 0);
  const [behind, ahead] = await Promise.all(
    [-hourMs, hourMs].map(async (ms) => {
      const store = await open({ ...systemClock, now: () => systemClock.now() + ms });
      expect(Math.abs((store.timeOffset?.() ?? 0) + ms)).toBeLessThan(roomMs);
      return store;
    }),
  );
  const before = now() - roomMs;
  const e = await start(right, "e1", { effects: { tasks: [newTask("t1")] }, now: before });
  const { partition } = e.key;
  expect(await behind!.queueHints({ partition })).toEqual(["q/a"]);
  // A claim puts off the hint of a held task.
  const later = now() + roomMs;
  await e.commit({ hold: true, now: later });
  expect(await claim(right, partition, { now: later })).toEqual({ tasks: [], more: [] });
  expect(await ahead!.queueHints({ partition })).toEqual([]);
  for (const store of [right, behind!, ahead!]) await store.close();
}
