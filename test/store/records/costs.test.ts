/** What the records store asks of its database: each primitive is a request that is paid for. */
import { expect, test } from "bun:test";
import { openRecordsStore } from "../../../src/store/records/records-store.ts";
import type { DumpRequest } from "../../../src/store/store.ts";
import { HandClock } from "../../support/hand-clock.ts";
import { MemoryRecordsDriver } from "../../support/memory-records.ts";
import { claim, claimDue, extend, handedOff, newTask, start, t0 } from "../conformance/subject.ts";

const facets = ["aggregates", "shelves"] as const;

/** A store that counts its calls; `spent` returns those since the last time. */
function counted() {
  const driver = new MemoryRecordsDriver({ partitions: 4 });
  const calls: string[] = [];
  const count = <Part extends object>(part: Part): Part =>
    new Proxy(part, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        return (...args: readonly unknown[]) => {
          const entries = name === "post" || name === "strike" ? (args[0] as unknown[]).length : 1;
          calls.push(entries === 1 ? String(name) : `${String(name)} ${entries}`);
          return value.apply(target, args) as unknown;
        };
      },
    });
  const parts = Object.fromEntries(facets.map((name) => [name, count(driver[name])]));
  const { name, durability, partitions, limits, documents, servers } = driver;
  const store = openRecordsStore(
    {
      ...{ name, durability, partitions, limits, documents, servers },
      ...(parts as Pick<MemoryRecordsDriver, (typeof facets)[number]>),
      close: async () => {},
    },
    { nonce: "n", clock: new HandClock() },
  );
  return { store, spent: () => calls.splice(0) };
}

test("a step that is handed over is one request", async () => {
  const { store, spent } = counted();
  const timers = [{ id: "timeout", at: t0 + 500 }];
  const effects = { tasks: [handedOff("t1", "1.n.t1")], timers };
  const e = await start(store, "e1", { effects });
  // Two lists and one more by status, and what is due.
  expect(spent()).toEqual(["post 4", "change"]);
  for (let i = 1; i <= 3; i++) {
    const settle = [{ taskId: `t${i}`, token: `1.n.t${i}` }];
    const tasks = [handedOff(`t${i + 1}`, `1.n.t${i + 1}`)];
    await e.commit({ settle, tasks, state: `"${i}"`, data: new Map([[`output:${i}`, "1"]]) });
    expect(spent()).toEqual(["change"]);
  }
  const lease = { key: e.key, taskId: "t4", token: "1.n.t4", until: t0 + 2_000, now: t0 };
  expect(await extend(store, lease)).toMatchObject({ outcome: "extended" });
  expect(spent()).toEqual(["change"]);
});

test("a step through the queue is a hint more, and a claim that strikes it", async () => {
  const { store, spent } = counted();
  const timers = [{ id: "timeout", at: t0 + 500 }];
  const e = await start(store, "e1", { effects: { tasks: [newTask("t0")], timers } });
  await claim(store, e.key.partition);
  spent();
  await e.commit({ settle: [{ taskId: "t0", token: "1.n.t0" }], tasks: [newTask("t1")] });
  expect(spent()).toEqual(["post", "change"]);
  await claim(store, e.key.partition, { tokenPrefix: "1.m", limit: 1 });
  expect(spent()).toEqual(["scan", "readHeads", "change", "strike"]);
});

test("an end moves the execution in one list, and a look for nothing is one request", async () => {
  const { store, spent } = counted();
  const e = await start(store, "e1", { effects: { tasks: [handedOff("t1", "1.n.t1")] } });
  spent();
  const settle = [{ taskId: "t1", token: "1.n.t1" }];
  await e.commit({ settle, status: "COMPLETED", endedAt: t0 });
  expect(spent()).toEqual(["post", "change", "strike"]);
  await claimDue(store, e.key.partition, t0);
  expect(spent()).toEqual(["scan"]);
});

test("partitions that are dumped side by side are listed once each, and each execution read once", async () => {
  const { store, spent } = counted();
  const ids = Array.from({ length: 12 }, (_, i) => `e${i}`);
  const started = [];
  for (const id of ids)
    started.push(await start(store, id, { effects: { tasks: [newTask("t")] } }));
  spent();
  let left = [...new Set(started.map(({ key }) => key.partition))].map((partition) => {
    return { partition, limit: 1 } as DumpRequest;
  });
  const partitions = left.length;
  expect(partitions).toBeGreaterThan(1);
  const found: string[] = [];
  while (left.length > 0) {
    const answers = await Promise.all(left.map((request) => store.dump(request)));
    found.push(...answers.flatMap(({ pieces }) => pieces.map(({ id }) => id)));
    left = left.flatMap((request, i) => {
      const { next } = answers[i]!;
      return next === undefined ? [] : { ...request, after: next };
    });
  }
  expect(found.toSorted()).toEqual(ids.toSorted());
  const asked = Map.groupBy(spent(), (call) => call);
  // Its list, and what is due, for tombstones.
  expect(asked.get("scan")).toHaveLength(2 * partitions);
  expect(asked.get("read")).toHaveLength(ids.length);
});
