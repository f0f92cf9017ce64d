import { expect, test } from "bun:test";
import { systemClock, systemIds } from "../../../src/base/clock.ts";
import { limits } from "../../../src/base/limits.ts";
import { executionKey } from "../../../src/model/ids.ts";
import { Dispatcher } from "../../../src/runtime/dispatch/dispatcher.ts";
import { MemoryStore } from "../../../src/store/memory/memory-store.ts";
import type { ClaimTasksRequest } from "../../../src/store/store.ts";
import { createLogger } from "../../../src/telemetry/log.ts";

const partitions = 64;
const queue = "default/charge";

/** Notes what was asked for, and asks. */
class WatchedStore extends MemoryStore {
  readonly claims: ClaimTasksRequest[] = [];
  released = 0;

  override claimTasks(request: ClaimTasksRequest) {
    this.claims.push(request);
    return super.claimTasks(request);
  }

  override releaseTasks(request: Parameters<MemoryStore["releaseTasks"]>[0]) {
    this.released += request.tasks.length;
    return super.releaseTasks(request);
  }
}

const terms = { workerId: "w", heartbeatMs: 0, waitMs: 10_000 };

async function backlog(count: number, parameters = "{}") {
  const store = new WatchedStore({ partitions });
  const dispatcher = new Dispatcher({
    store,
    clock: systemClock,
    ids: systemIds,
    onDue: () => {},
    log: createLogger({ level: "silent", clock: systemClock, write: () => {} }),
  });
  const now = systemClock.now();
  for (let i = 0; i < count; i++) {
    const id = systemIds.uuid();
    const key = executionKey(id, partitions);
    const task = { id: `${id}:1:0:1`, queue, priority: 0, timeoutMs: 60_000, heartbeatMs: 0 };
    await store.create({
      key,
      commitId: "1",
      state: "{}",
      data: new Map(),
      now,
      listing: { id, workflow: "orders", version: 1, status: "RUNNING", startedAt: now },
      effects: {
        dropTasks: [],
        timers: [],
        dropTimers: [],
        messages: [],
        history: [],
        tasks: [{ ...task, queueTimeoutMs: 0, header: "{}", parameters }],
      },
    });
    dispatcher.hint(key.partition, queue);
  }
  const poll = async (tasksMax: number, waitMs = 0) => {
    const poll = dispatcher.open({ ...terms, queues: [queue], tasksMax, waitMs });
    dispatcher.fill(poll);
    poll.startWaiting();
    return (await poll.answered).length;
  };
  return { store, dispatcher, poll };
}

test("a poll asks for many tasks at once, and for no more than it has room for", async () => {
  const { store, poll } = await backlog(3_000);
  for (const [room, most] of [
    [100, 7],
    [20, 2],
    [1, 1],
    [1_000, 16],
  ] as const) {
    store.claims.length = 0;
    const got = await poll(room, terms.waitMs);
    const asked = store.claims.reduce((sum, { limit }) => sum + limit, 0);
    expect(store.claims.length).toBe(most);
    expect(asked).toBe(room);
    expect(got).toBeGreaterThan(room / 3);
  }
});

test("polls that do not wait are full until nothing is left", async () => {
  const { poll } = await backlog(550);
  for (const full of [100, 100, 100, 100, 100, 50, 0]) expect(await poll(100)).toBe(full);
});

test("one poll after the other empties all partitions", async () => {
  const { poll } = await backlog(500);
  let left = 500;
  for (let polls = 0; left > 0 && polls < 100; polls++) left -= await poll(100, terms.waitMs);
  expect(left).toBe(0);
});

test("places are kept for what follows from results that nobody has decided on yet", async () => {
  const { store, dispatcher } = await backlog(3_000);
  const poll = dispatcher.open({ ...terms, queues: [queue], tasksMax: 100 });
  const asked = () => store.claims.reduce((sum, { limit }) => sum + limit, 0);
  poll.awaitResults(80);
  dispatcher.fill(poll);
  expect(asked()).toBe(20);
  while (poll.filling) await Bun.sleep(0);

  const id = systemIds.uuid();
  const next = { id: `${id}:1:1:2`, queue, priority: 0, timeoutMs: 60_000, heartbeatMs: 0 };
  const task = { ...next, queueTimeoutMs: 0, header: "{}", parameters: "{}" };
  const offer = dispatcher.offer(0, task, poll, systemClock.now());
  expect(offer?.poll).toBe(poll);
  expect(poll.spare).toBeLessThan(20);
  for (let i = 0; i < 80; i++) poll.resultDecided();
  const { spare } = poll;
  expect(spare).toBeGreaterThanOrEqual(79);
  dispatcher.fill(poll);
  expect(asked()).toBe(20 + spare);
});

test("polls that name very much are answered first, or refused, and those that name little wait", async () => {
  const { dispatcher } = await backlog(0);
  const wait = (queues: string[]) => dispatcher.open({ ...terms, queues, tasksMax: 1 });
  const namesOf = (poll: number) =>
    Array.from(
      { length: limits.pollPairsMax },
      (_, i) => `${1_000 + poll}-${"x".repeat(200)}-${i}`,
    );
  const small = wait([queue]);
  const first = wait(namesOf(0));
  const fitting = Math.floor(limits.parkedPollBytesMax / first.bytes);
  for (let i = 1; i < fitting; i++) wait(namesOf(i));
  expect(dispatcher.parked).toBe(fitting + 1);
  // Another one as large does not fit; for a small one the first of the largest makes room.
  expect(() => wait(namesOf(0))).toThrow("Name fewer");
  const closed: string[] = [];
  small.answered.then(() => closed.push("small"));
  first.answered.then(() => closed.push("first"));
  const next = Math.ceil((limits.parkedPollBytesMax - fitting * first.bytes) / small.bytes) + 1;
  for (let i = 0; i < next; i++) wait([queue]);
  await first.answered;
  expect([closed, dispatcher.parked]).toEqual([["first"], fitting + next]);
  dispatcher.drain();
  expect(dispatcher.parked).toBe(0);
});

test("of large tasks no more are claimed than an answer carries, once their size is known", async () => {
  const parameters = JSON.stringify("x".repeat(500_000));
  const carried = Math.floor(limits.pollResponseBytesMax / parameters.length);
  const { store, poll } = await backlog(100, parameters);
  let left = 100 - (await poll(50));
  const { released } = store;
  for (let polls = 0; left > 0 && polls < 100; polls++) {
    store.claims.length = 0;
    const got = await poll(50);
    expect(got).toBeLessThanOrEqual(carried);
    const asked = store.claims.reduce((sum, { limit }) => Math.max(sum, limit), 0);
    expect(asked).toBeLessThanOrEqual(carried);
    left -= got;
  }
  expect([left, store.released]).toEqual([0, released]);
});
