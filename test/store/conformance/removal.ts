/** Removing executions, and the tombstones they leave. */
import { expect } from "bun:test";
import type { Store } from "../../../src/store/store.ts";
import {
  claimDue,
  claimIds,
  createRequest,
  type Driven,
  effects,
  handedOff,
  newTask,
  start,
  type Test,
  t0,
} from "./subject.ts";

const day = 86_400_000;

function remove(e: Driven, changes: { tombstoneUntil?: number; now?: number } = {}) {
  const { key, head: expected } = e;
  return e.store.remove({ key, expected, tombstoneUntil: t0 + day, now: t0, ...changes });
}

async function expectGone(store: Store, e: Driven): Promise<void> {
  const { key } = e;
  const { partition } = key;
  expect(await store.load({ key })).toEqual({ outcome: "tombstone" });
  expect(await store.load({ key, fields: ["f"] })).toEqual({ outcome: "tombstone" });
  expect(await store.holdings(key)).toEqual({ tasks: [], timers: [], messages: [] });
  expect(await store.history({ key, after: 0, limit: 9 })).toEqual([]);
  expect(await store.list({ partition, index: "all", value: "", limit: 9 })).toEqual([]);
  expect((await e.try({})).outcome).toBe("not_found");
}

export function removalTests(test: Test): void {
  test("a removed execution leaves nothing but a tombstone", async (store) => {
    const tasks = [newTask("t1"), handedOff("t2", "1.n.t2")];
    const timers = [{ id: "x", at: t0 }];
    const e = await start(store, "e1", {
      data: new Map([["f", "1"]]),
      effects: { tasks, timers, messages: [{ id: "m", body: "1" }], history: ["1"] },
    });
    expect(await remove(e)).toBe("removed");
    await expectGone(store, e);
    const { partition } = e.key;
    expect(await claimIds(store, partition)).toEqual([]);
    expect(await claimDue(store, partition, t0 + 9_000)).toEqual({ items: [] });
    const outbox = { partition, claimId: "c", limit: 9, hideMs: 9, now: t0 };
    expect(await store.claimOutbox(outbox)).toEqual({ messages: [] });
    expect(await store.queueStats({ partition })).toEqual([]);
  });

  test("a repeated removal is removed; another head is not", async (store) => {
    const e = await start(store, "e1");
    const old = e.head;
    await e.commit();
    const { key, head } = e;
    const request = { key, tombstoneUntil: t0 + day, now: t0 };
    expect(await store.remove({ ...request, expected: old })).toBe("conflict");
    expect((await store.load({ key })).outcome).toBe("loaded");
    expect(await store.remove({ ...request, expected: head })).toBe("removed");
    expect(await store.remove({ ...request, expected: head })).toBe("removed");
    expect(await store.remove({ ...request, expected: old })).toBe("not_found");
    const nobody = { ...request, key: { ...key, id: "nobody" }, expected: head };
    expect(await store.remove(nobody)).toBe("not_found");
  });

  test("the tombstone stops a create until its moment", async (store) => {
    const e = await start(store, "e1", {
      data: new Map([["f", "1"]]),
      effects: { history: ["1"] },
    });
    await remove(e);
    const again = (commitId: string, now: number) =>
      store.create(createRequest("e1", { commitId, now, effects: effects({ history: ["9"] }) }));
    expect(await again("e1-0", t0)).toEqual({ outcome: "tombstone" });
    expect(await again("new", t0 + day - 1)).toEqual({ outcome: "tombstone" });
    const head = { revision: 1, commitId: "new" };
    expect(await again("new", t0 + day)).toEqual({ outcome: "created", head });
    const loaded = await store.load({ key: e.key });
    expect(loaded).toMatchObject({ head, recentCommitIds: ["new"], data: new Map() });
    expect(await store.history({ key: e.key, after: 0, limit: 9 })).toEqual(["9"]);
  });

  test("a large execution is removed in chunks, behind its tombstone", async (store) => {
    const history = Array.from({ length: 1_200 }, (_, i) => `${i}`);
    const e = await start(store, "e1", { effects: { history, tasks: [newTask("t1")] } });
    const other = await start(store, "e2", { effects: { history: ["1"] } });
    const answers = [await remove(e)];
    expect(answers).toEqual(["more"]);
    await expectGone(store, e);
    expect((await store.create(createRequest("e1"))).outcome).toBe("tombstone");
    while (answers.at(-1) === "more") answers.push(await remove(e));
    expect(answers.at(-1)).toBe("removed");
    await expectGone(store, e);
    expect(await store.history({ key: other.key, after: 0, limit: 9 })).toEqual(["1"]);
    const { key } = e;
    const late = await store.create(createRequest("e1", { commitId: "new", now: t0 + day }));
    expect(late.outcome).toBe("created");
    expect(await store.history({ key, after: 0, limit: 9 })).toEqual([]);
  });

  test("an ended tombstone that nobody creates again is forgotten in time", async (store) => {
    const e = await start(store, "e1");
    await remove(e);
    await claimDue(store, e.key.partition, t0 + day - 1, "c1");
    expect((await store.load({ key: e.key })).outcome).toBe("tombstone");
    await claimDue(store, e.key.partition, t0 + day, "c2");
    expect((await store.load({ key: e.key })).outcome).toBe("not_found");
  });
}
