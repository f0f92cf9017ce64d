/** What is large, or many, in one execution: bodies stay within what a database takes, nothing is lost. */
import { expect, test } from "bun:test";
import { openRecordsStore } from "../../../src/store/records/records-store.ts";
import { type DueItem, StoreFault } from "../../../src/store/store.ts";
import { HandClock } from "../../support/hand-clock.ts";
import { MemoryRecordsDriver } from "../../support/memory-records.ts";
import { claim, createRequest, effects, newTask, start, t0 } from "../conformance/subject.ts";

function open() {
  const driver = new MemoryRecordsDriver({ partitions: 1 });
  return { driver, store: openRecordsStore(driver, { nonce: "n", clock: new HandClock() }) };
}

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);
const look = { partition: 0, limit: 100, hideMs: 5_000 };

test("a head that would outgrow a body stands in parts, until it is small again", async () => {
  const { driver, store } = open();
  const key = { partition: 0, id: "e1" };
  const e = await start(store, key.id, { key });
  // Three bytes each: as characters they are within all bounds.
  const state = JSON.stringify("界".repeat(60_000));
  const messages = numbers(80).map((i) => ({
    id: `m${i}`,
    body: JSON.stringify("界".repeat(1_000)),
  }));
  await e.commit({ state, messages });
  for (const text of [state, JSON.stringify("界".repeat(50_000))]) {
    await e.commit({ state: text, history: ["1"] });
    expect(await store.load({ key })).toMatchObject({ outcome: "loaded", state: text });
  }
  const { messages: given } = await store.claimOutbox({ ...look, claimId: "c", now: t0 });
  expect(given.map(({ id, body }) => ({ id, body }))).toEqual(messages);
  await store.ackOutbox({ partition: 0, messages: given });
  await e.commit({});
  expect(await store.load({ key })).toMatchObject({ state: "{}" });
  expect(driver.aggregates.left(key)).toEqual({ rows: [], parts: [] });
});

test("of many timers and messages of one execution each is given, and others do not wait for them", async () => {
  const { driver, store } = open();
  const key = { partition: 0, id: "many" };
  const e = await start(store, key.id, { key });
  const ids = numbers(500).map((i) => `${i}`);
  await e.commitAll(ids, (some) => ({ timers: some.map((id) => ({ id, at: t0 + Number(id) })) }));
  await e.commitAll(ids, (some) => ({ messages: some.map((id) => ({ id, body: `"${id}"` })) }));
  const other = { partition: 0, id: "other" };
  const message = { id: "m", body: "1" };
  const effects = { timers: [{ id: "t", at: t0 + 1_000 }], messages: [message] };
  await start(store, other.id, { key: other, effects });

  const now = t0 + 2_000;
  const timers: DueItem[] = [];
  for (let i = 0; ; i++) {
    const { items, nextDue } = await store.claimDue({ ...look, claimId: `d${i}`, now });
    timers.push(...items);
    expect(items.length).toBeLessThanOrEqual(look.limit);
    if (items.length === 0) break;
    expect(nextDue).toBeDefined();
  }
  const named = timers.map((item) => (item.kind === "timer" ? item.id : item.kind));
  expect(named).toEqual([...ids, "t"]);
  const consumeTimers = (claimId: string, some: readonly string[]) =>
    some.map((id) => ({ id, claimId }));
  for (let i = 0; i < 5; i++) {
    const some = ids.slice(i * 100, (i + 1) * 100);
    for (const half of [some.slice(0, 50), some.slice(50)]) {
      await e.commit({ consumeTimers: consumeTimers(`d${i}`, half) });
    }
  }

  const received = new Map<string, string[]>();
  for (let i = 0; ; i++) {
    const claimed = await store.claimOutbox({ ...look, claimId: `o${i}`, now });
    if (claimed.messages.length === 0) break;
    for (const { key: of, id } of claimed.messages) {
      received.set(of.id, [...(received.get(of.id) ?? []), id]);
    }
    if (i === 0) expect(claimed.nextDue).toBeLessThanOrEqual(now);
    await store.ackOutbox({ partition: 0, messages: claimed.messages });
  }
  expect(received).toEqual(
    new Map([
      ["many", ids],
      ["other", ["m"]],
    ]),
  );
  expect(driver.aggregates.left(key).parts).toEqual([]);
});

test("hints of creations that never came keep nothing behind them waiting", async () => {
  const { driver, store } = open();
  const message = { id: "m", body: "1" };
  const all = { tasks: [newTask("t1")], timers: [{ id: "t", at: t0 }], messages: [message] };
  const create = (id: string) =>
    store.create(createRequest(id, { key: { partition: 0, id }, effects: effects(all) }));
  const change = driver.aggregates.change.bind(driver.aggregates);
  driver.aggregates.change = async () => {
    throw new StoreFault("unknown", "It ended before.");
  };
  for (const i of numbers(500)) await expect(create(`never-${i}`)).rejects.toThrow();
  driver.aggregates.change = change;
  await create("came");

  const now = t0 + 1_000;
  const queues = [{ name: "q/a", limit: 1 }];
  const { tasks } = await claim(store, 0, { queues, limit: 1, now });
  expect(tasks.map(({ key }) => key.id)).toEqual(["came"]);
  const { items } = await store.claimDue({ ...look, claimId: "d", now });
  expect(items.map(({ key }) => key.id)).toEqual(["came"]);
  const { messages } = await store.claimOutbox({ ...look, claimId: "o", now });
  expect(messages.map(({ key }) => key.id)).toEqual(["came"]);
});
