/** Two servers on one database: what one remembers, the other has changed. */
import { describe, expect, test } from "bun:test";
import type { Aggregates } from "../../../src/store/records/driver.ts";
import { openRecordsStore } from "../../../src/store/records/records-store.ts";
import { HandClock } from "../../support/hand-clock.ts";
import { MemoryRecordsDriver } from "../../support/memory-records.ts";
import { claimIds, Driven, handedOff, newTask, start, t0 } from "../conformance/subject.ts";

const long = JSON.stringify("x".repeat(3_000));
const clock = new HandClock();

function openTwo() {
  const driver = new MemoryRecordsDriver({ partitions: 4 });
  const open = (nonce: string) => openRecordsStore(driver, { nonce, clock });
  return { driver, one: open("one"), two: open("two") };
}

describe("a server that is behind", () => {
  test("is told of the conflict, though what it remembers refers to parts that are gone", async () => {
    const { one, two } = openTwo();
    const large = { history: [long], data: new Map([["f", long]]) };
    const data = new Map([["f", long]]);
    const e = await start(one, "e1", { data, effects: { history: [long] } });
    const other = new Driven(two, e.key, e.head);
    await other.commit({ ...large, commitId: "other" });
    expect(await e.try(large)).toEqual({ outcome: "conflict", head: other.head });
    e.head = other.head;
    await e.commit({ ...large, commitId: "mine" });
    expect(await two.history({ key: e.key, after: 0, limit: 9 })).toEqual([long, long, long]);
  });

  test("settles a task that the other has added, and not one that it has ended", async () => {
    const { one, two } = openTwo();
    const e = await start(one, "e1", { effects: { tasks: [handedOff("t1", "1.n.t1")] } });
    const other = new Driven(two, e.key, e.head);
    const settle = [{ taskId: "t1", token: "1.n.t1" }];
    const tasks = [newTask("t2"), handedOff("t3", "1.n.t3")];
    await other.commit({ settle, tasks, commitId: "other" });
    e.head = other.head;
    expect(await e.try({ settle })).toEqual({ outcome: "stale", tasks: ["t1"], timers: [] });
    await e.commit({ settle: [{ taskId: "t3", token: "1.n.t3" }], commitId: "mine" });
    expect(await claimIds(two, e.key.partition)).toEqual(["t2"]);
  });

  test("finds the queue that the other has used first", async () => {
    const { one, two } = openTwo();
    const e = await start(one, "e1");
    const queues = [{ name: "new", limit: 9 }];
    expect(await claimIds(two, e.key.partition, { queues })).toEqual([]);
    await e.commit({ tasks: [newTask("t1", { queue: "new" })] });
    expect(await claimIds(two, e.key.partition, { queues })).toEqual(["t1"]);
  });
});

test("a load between a commit and its parts that go is made again", async () => {
  const { driver, one } = openTwo();
  const state = JSON.stringify("s".repeat(100_000));
  const e = await start(one, "e1", { state });
  let isFirst = true;
  const aggregates = new Proxy(driver.aggregates as Aggregates, {
    get(target, name) {
      if (name !== "readParts") {
        const value = Reflect.get(target, name, target) as (...args: unknown[]) => unknown;
        return value.bind(target);
      }
      return async (...args: Parameters<Aggregates["readParts"]>) => {
        if (isFirst) await e.commit({ state: state.replace("s", "later"), now: t0 + 1 });
        isFirst = false;
        return await target.readParts(...args);
      };
    },
  });
  const { name, durability, partitions, limits, shelves, documents, servers } = driver;
  const others = { name, durability, partitions, limits, shelves, documents, servers };
  const behind = openRecordsStore(
    { ...others, aggregates, close: async () => {} },
    { nonce: "behind", clock },
  );
  expect(await behind.load({ key: e.key })).toMatchObject({
    head: e.head,
    state: state.replace("s", "later"),
  });
});
