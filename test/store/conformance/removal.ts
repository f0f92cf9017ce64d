/** Removing executions, and the tombstones they leave. */
import { expect } from "bun:test";
import { limits } from "../../../src/base/limits.ts";
import { executionKey } from "../../../src/model/ids.ts";
import { purgedPerClaim } from "../../../src/store/kit/removal.ts";
import type { Store } from "../../../src/store/store.ts";
import {
  claimDue,
  claimIds,
  createRequest,
  type Driven,
  effects,
  handedOff,
  idsIn,
  newTask,
  partitions,
  start,
  type Test,
  t0,
} from "./subject.ts";

const day = 86_400_000;

type Changes = { tombstoneUntil?: number; keepStart?: boolean; now?: number };

function remove(e: Driven, changes: Changes = {}) {
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
  expect((await store.list({ partition, limit: 9 })).items).toEqual([]);
  expect((await e.try({})).outcome).toBe("not_found");
}

export function removalTests(test: Test): void {
  const withDue = test.also("due");
  const withDueNode = test.also("due", "node");
  const withNode = test.also("node");
  const withLists = test.also("lists");
  const withAll = test.also("due", "lists", "outbox", "tasks");
  withAll("a removed execution leaves nothing but a tombstone", async (store) => {
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

  withLists("a large execution is removed in chunks, behind its tombstone", async (store) => {
    const history = Array.from({ length: 1_200 }, (_, i) => `${i}`);
    const e = await start(store, "e1", { effects: { tasks: [newTask("t1")] } });
    await e.commitAll(history, (some) => ({ history: some }));
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

  test("a tombstone holds what a repeated start is to hear, where the removal keeps it", async (store) => {
    const requestHash = "0123456789abcdef".repeat(4);
    const shortHash = requestHash.slice(0, limits.keptHashChars);
    const ended = { status: "COMPLETED", endedAt: t0 + 7 } as const;
    const again = (id: string) => store.create(createRequest(id, { commitId: "new" }));
    const history = Array.from({ length: 1_200 }, (_, i) => `${i}`);
    for (const [id, entries] of [
      ["small", ["1"]],
      ["large", history],
    ] as const) {
      const e = await start(store, id, { requestHash });
      await e.commitAll<string>(entries, (some) => ({ history: some }));
      await e.commit(ended);
      const kept = { requestHash: shortHash, ...ended };
      while ((await remove(e, { keepStart: true })) === "more") {
        expect(await again(id)).toEqual({ outcome: "tombstone", kept });
      }
      expect(await again(id)).toEqual({ outcome: "tombstone", kept });
      // The removal has decided already.
      expect(await remove(e, { keepStart: false })).toBe("removed");
      expect(await again(id)).toEqual({ outcome: "tombstone", kept });
    }
    const open = await start(store, "open", { requestHash });
    await remove(open, { keepStart: true });
    const kept = { requestHash: shortHash, status: "RUNNING" } as const;
    expect(await again("open")).toEqual({ outcome: "tombstone", kept });
    const without = await start(store, "without hash");
    await remove(without, { keepStart: true });
    expect(await again("without hash")).toEqual({ outcome: "tombstone" });
    const unkept = await start(store, "not kept", { requestHash });
    await remove(unkept);
    expect(await remove(unkept, { keepStart: true })).toBe("removed");
    expect(await again("not kept")).toEqual({ outcome: "tombstone" });
  });

  withNode("tombstones are counted", async (store) => {
    expect((await store.pressure()).tombstones).toBe(0);
    for (const id of ["a", "b", "c"]) await remove(await start(store, id));
    await start(store, "lives");
    expect((await store.pressure()).tombstones).toBe(3);
  });

  withNode("each removal purges more ended tombstones than it makes", async (store) => {
    const ids = idsIn(0, 10);
    const old = ids.slice(0, 6);
    for (const id of old) await remove(await start(store, id), { tombstoneUntil: t0 + 10 });
    const later = { now: t0 + 10 };
    for (const id of ids.slice(6, 9)) await remove(await start(store, id), later);
    const outcomes = async (of: readonly string[]) => {
      const loaded = of.map((id) => store.load({ key: executionKey(id, partitions) }));
      return new Set((await Promise.all(loaded)).map(({ outcome }) => outcome));
    };
    expect(await outcomes(old)).toEqual(new Set(["not_found"]));
    expect(await outcomes(ids.slice(6, 9))).toEqual(new Set(["tombstone"]));
    expect((await store.pressure()).tombstones).toBe(3);
  });

  withDueNode(
    "while ended tombstones are left, claimDue asks to be called again",
    async (store) => {
      const ids = idsIn(0, 2 * purgedPerClaim + 1);
      for (const id of ids) await remove(await start(store, id), { tombstoneUntil: t0 + 10 });
      const left: (number | undefined)[] = [];
      for (let now = t0 + 10, next: number | undefined = now; next === now; ) {
        next = (await claimDue(store, 0, now)).nextDue;
        left.push((await store.pressure()).tombstones);
      }
      expect(left).toEqual([purgedPerClaim + 1, 1, 0]);
    },
  );

  withDue("an ended tombstone that nobody creates again is forgotten in time", async (store) => {
    const e = await start(store, "e1");
    await remove(e);
    await claimDue(store, e.key.partition, t0 + day - 1, "c1");
    expect((await store.load({ key: e.key })).outcome).toBe("tombstone");
    await claimDue(store, e.key.partition, t0 + day, "c2");
    expect((await store.load({ key: e.key })).outcome).toBe("not_found");
  });
}
