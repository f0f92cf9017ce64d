/** Something on the way to the database repeats a change: what is refused then was written before. */
import { describe, expect, test } from "bun:test";
import type { Aggregates } from "../../../src/store/records/driver.ts";
import { openRecordsStore } from "../../../src/store/records/records-store.ts";
import { StoreFault } from "../../../src/store/store.ts";
import { HandClock } from "../../support/hand-clock.ts";
import { MemoryRecordsDriver } from "../../support/memory-records.ts";
import { claimIds, createRequest, Driven, newTask, t0 } from "../conformance/subject.ts";

/** Every change is made twice, and the second answer is returned; reads fail while `isAway`. */
function openRepeating() {
  const driver = new MemoryRecordsDriver({ partitions: 4 });
  const state = { isAway: false };
  const { aggregates } = driver;
  const repeating = new Proxy(aggregates as Aggregates, {
    get(target, name) {
      const value = Reflect.get(target, name, target) as (...args: unknown[]) => Promise<unknown>;
      return async (...args: unknown[]) => {
        if (name === "read" && state.isAway) throw new StoreFault("not_applied", "It is away.");
        if (name === "change") await value.apply(target, args);
        return await value.apply(target, args);
      };
    },
  });
  const { name, durability, partitions, limits, shelves, documents, servers } = driver;
  const others = { name, durability, partitions, limits, shelves, documents, servers };
  const store = openRecordsStore(
    { ...others, aggregates: repeating, close: async () => {} },
    { nonce: "n", clock: new HandClock() },
  );
  return { store, state };
}

describe("a change that is repeated on its way", () => {
  test("is found to be this one", async () => {
    const { store } = openRepeating();
    const request = createRequest("e1");
    const created = await store.create(request);
    if (created.outcome !== "created") throw new Error(created.outcome);
    const e = new Driven(store, request.key, created.head);
    await e.commit({
      tasks: [newTask("t1"), newTask("t2", { parameters: `"${"p".repeat(2_000)}"` })],
    });
    expect(await claimIds(store, e.key.partition)).toEqual(["t1", "t2"]);
    const settle = ["t1", "t2"].map((taskId) => ({ taskId, token: `1.n.${taskId}` }));
    await e.commit({ settle, status: "COMPLETED", endedAt: t0 });
    const removal = { key: e.key, expected: e.head, tombstoneUntil: t0 + 9, now: t0 };
    expect(await store.remove(removal)).toBe("removed");
  });

  test("is unknown where that cannot be seen", async () => {
    const { store, state } = openRepeating();
    const request = createRequest("e1");
    state.isAway = true;
    const fault = await store.create(request).catch((error) => error);
    expect(fault).toMatchObject({ outcome: "unknown" });
    state.isAway = false;
    const created = await store.create(request);
    expect(created).toEqual({ outcome: "created", head: { revision: 1, commitId: "e1-0" } });
    const e = new Driven(store, request.key, { revision: 1, commitId: "e1-0" });
    state.isAway = true;
    const failed = await e.try({ state: '"later"' }).catch((error) => error);
    expect(failed).toMatchObject({ outcome: "unknown" });
    state.isAway = false;
    expect(await store.load({ key: e.key, sure: true })).toMatchObject({ state: '"later"' });
  });
});
