/** Queues that were used once are forgotten, so that nobody looks into them for ever. */
import { expect, test } from "bun:test";
import { openRecordsStore } from "../../../src/store/records/records-store.ts";
import { HandClock } from "../../support/hand-clock.ts";
import { MemoryRecordsDriver } from "../../support/memory-records.ts";
import { claim, claimIds, Driven, newTask, start, t0 } from "../conformance/subject.ts";

const partition = 0;
const hourMs = 3_600_000;
const index = { partition, kind: "list", name: "queues" } as const;

function open() {
  const driver = new MemoryRecordsDriver({ partitions: 1 });
  const clock = new HandClock();
  const openOne = (nonce: string) => openRecordsStore(driver, { nonce, clock });
  const listed = async () =>
    (await driver.shelves.scan({ shelf: index, limit: 1_000 })).entries.map(
      ({ body }) => (JSON.parse(body) as { readonly queue: string }).queue,
    );
  return { driver, clock, one: openOne("one"), other: openOne("other"), listed };
}

test("queues that are empty and unused for long are forgotten, others are not", async () => {
  const { driver, clock, one, listed } = open();
  const queues = Array.from({ length: 500 }, (_, i) => `q/${i}`);
  const key = { partition, id: "e1" };
  const e = await start(one, key.id, { key });
  await e.commitAll(queues, (some) => ({ tasks: some.map((queue) => newTask(queue, { queue })) }));
  const all = queues.map((name) => ({ name, limit: 1 }));
  for (let i = 0; i < 10; i++) {
    await claim(one, partition, {
      queues: all.slice(i * 50, i * 50 + 50),
      tokenPrefix: `1.${i}`,
      limit: 50,
    });
  }
  const held = { partition, id: "held" };
  const waiting = { tasks: [newTask("t1", { queue: "q/held" })] };
  await (await start(one, held.id, { key: held, effects: waiting })).commit({ hold: true });
  await claim(one, partition, { queues: [{ name: "q/held", limit: 1 }], tokenPrefix: "1.h" });
  expect(new Set(await listed())).toEqual(new Set([...queues, "q/held"]));

  expect(await one.queueHints({ partition })).toEqual([]);
  expect((await listed()).length).toBe(queues.length + 1);
  clock.elapsedMs += hourMs;
  expect(await one.queueHints({ partition })).toEqual(["q/held"]);
  expect(await listed()).toEqual(["q/held"]);
  let scans = 0;
  const scan = driver.shelves.scan.bind(driver.shelves);
  driver.shelves.scan = (request) => {
    scans += 1;
    return scan(request);
  };
  await one.queueHints({ partition });
  expect(scans).toBe(2);
});

test("a queue that was forgotten is found by all servers once it is used again", async () => {
  const { clock, one, other, listed } = open();
  const key = { partition, id: "e1" };
  const e = await start(one, key.id, { key, effects: { tasks: [newTask("t1")] } });
  expect(await claimIds(other, partition)).toEqual(["t1"]);
  clock.elapsedMs += hourMs;
  const now = t0 + hourMs;
  expect(await other.queueHints({ partition })).toEqual([]);
  expect(await listed()).toEqual([]);
  await e.commit({ tasks: [newTask("t2")], now });
  expect(await other.queueHints({ partition })).toEqual(["q/a"]);
  expect(await claimIds(other, partition, { now, tokenPrefix: "1.b" })).toEqual(["t2"]);
});

test("what comes into an empty queue while it is forgotten is found", async () => {
  const { driver, clock, one, other } = open();
  const key = { partition, id: "e1" };
  const e = await start(one, key.id, { key, effects: { tasks: [newTask("t1")] } });
  expect(await claimIds(other, partition)).toEqual(["t1"]);
  clock.elapsedMs += hourMs;
  const strike = driver.shelves.strike.bind(driver.shelves);
  driver.shelves.strike = async (hints) => {
    driver.shelves.strike = strike;
    const since = new Driven(one, e.key, e.head);
    await since.commit({ tasks: [newTask("t2")], now: t0 + hourMs, commitId: "meanwhile" });
    await strike(hints);
  };
  expect(await other.queueHints({ partition })).toEqual([]);
  expect(await other.queueHints({ partition })).toEqual(["q/a"]);
});
