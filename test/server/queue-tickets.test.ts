/** Servers whose tasks a broker carries: one that loses, doubles and reorders tickets, and goes away. */
import { expect, test } from "bun:test";
import { type Clock, systemClock } from "../../src/base/clock.ts";
import { defined } from "../../src/base/defined.ts";
import { BrokerFault } from "../../src/brokers/message.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { createLogger, type Logger } from "../../src/telemetry/log.ts";
import { Chance } from "../support/chance.ts";
import { LossyBroker } from "../support/lossy-tickets.ts";
import { readMetrics, total as sumOf, untilParked } from "../support/metrics.ts";
import {
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";
import { complete, done, poll, pollOne, service, single, type Task } from "./calls.ts";

const times = 10;
/** What a lost ticket costs is over in a tenth of the time. */
const fast: Clock = {
  now: () => startedAt + Math.floor((systemClock.now() - startedAt) * times),
  after: (ms, callback) => systemClock.after(ms / times, callback),
  soon: systemClock.soon,
};
const startedAt = systemClock.now();

async function startServers(
  broker: LossyBroker,
  log?: Logger,
): Promise<readonly [TestServer, TestServer]> {
  const store = new MemoryStore({ partitions: 4 });
  const start = () =>
    startTestServer({
      store: "memory:",
      parts: { store, clock: fast, taskQueue: broker.connect(fast), ...defined({ log }) },
    });
  return [await start(), await start()];
}

test("1,000 executions over a broker that loses a fifth, doubles a fifth and reorders: all end, each attempt handed out once", async () => {
  const broker = new LossyBroker(new Chance(7));
  const servers = await startServers(broker);
  const [one, other] = servers;
  const names = ["first", "second", "third"];
  await saveWorkflow(one, {
    name: "chain",
    rootAction: "first",
    actions: names.map((name, index) => {
      const next = names[index + 1];
      return {
        id: name,
        type: "user",
        name,
        ...(next !== undefined && { next: { default: next } }),
      };
    }),
  });
  const total = 1_000;
  const ids: string[] = [];
  for (let from = 0; from < total; from += 50) {
    const starts = Array.from({ length: 50 }, (_, i) => startExecution(servers[i % 2]!, "chain"));
    ids.push(...(await Promise.all(starts)));
  }
  const handedOut = new Map<string, number>();
  let ended = 0;
  // Each action has its workers at one server, so that what follows is mostly queued for the other.
  const work = async (server: TestServer, action: string) => {
    while (ended < total) {
      const tasks = await poll(server, { actions: [action], maxTasks: 20, waitSeconds: 10 });
      for (const { executionId, actionId, attempt } of tasks) {
        const name = `${executionId} ${actionId} ${attempt}`;
        handedOut.set(name, (handedOut.get(name) ?? 0) + 1);
      }
      if (tasks.length === 0) continue;
      const answers = await complete(server, ...tasks.map((task) => done(task)));
      expect(new Set(answers)).toEqual(new Set(["ACCEPTED"]));
      if (action === "third") ended += tasks.length;
    }
  };
  await Promise.all([
    ...[work(one, "first"), work(one, "first")],
    ...[work(other, "second"), work(other, "second"), work(one, "third")],
  ]);
  expect(handedOut.size).toBe(3 * total);
  expect([...handedOut.values()].filter((count) => count !== 1)).toEqual([]);
  for (const id of ids.slice(0, 10)) {
    expect((await untilEnded(one, id)).status).toBe("COMPLETED");
  }
  expect(broker.received).toBeGreaterThan(total);
  for (const server of servers) await server.remove();
});

const noLosses = { lost: 0, doubled: 0, delayMs: 5 };

test("a task that is queued at one server comes by its ticket to a poll at the other", async () => {
  const broker = new LossyBroker(new Chance(1), noLosses);
  const [one, other] = await startServers(broker);
  await saveWorkflow(one, single("far"));
  for (let i = 0; i < 20; i++) {
    const waiting = pollOne(other, "far");
    const id = await startExecution(one, "far");
    const task = await waiting;
    expect(task.executionId).toBe(id);
    await complete(one, done(task));
  }
  // Those that were handed over at once have none.
  await untilParked(other, 0);
  const claimed = sumOf(await readMetrics(other), "orchy_queue_tickets_total", 'event="claimed"');
  expect(claimed).toBeGreaterThan(10);
  for (const server of [one, other]) await server.remove();
});

test("while the broker is away tasks come from the store; readiness says so, and the server is ready", async () => {
  const broker = new LossyBroker(new Chance(2), noLosses);
  const [one, other] = await startServers(broker);
  await saveWorkflow(one, single("lone"));
  const queueOf = async () => (await call(one, "GET", "/health/ready")).body.checks.queue;
  expect((await queueOf()).ok).toBe(true);
  broker.isAway = true;
  const ids = await Promise.all(Array.from({ length: 30 }, () => startExecution(one, "lone")));
  const left = new Set(ids);
  // At the other server, too, which learns of them by looking.
  for (let server = one; left.size > 0; server = server === one ? other : one) {
    for (const task of await poll(server, { actions: ["lone"], maxTasks: 5, waitSeconds: 5 })) {
      await complete(server, done(task));
      left.delete(task.executionId);
    }
  }
  const away = await call(one, "GET", "/health/ready");
  expect([away.status, away.body.checks.queue.ok]).toEqual([200, false]);
  broker.isAway = false;
  while (!(await queueOf()).ok) {
    const waiting = poll(one, { actions: ["lone"], waitSeconds: 5 });
    await startExecution(one, "lone");
    for (const task of await waiting) await complete(one, done(task));
  }
  for (const server of [one, other]) await server.remove();
});

test("a queue that the broker refuses keeps no other back, and is logged once", async () => {
  const broker = new LossyBroker(new Chance(5), noLosses);
  const lines: string[] = [];
  const log = createLogger({ level: "warn", clock: fast, write: (line) => lines.push(line) });
  const [one, other] = await startServers(broker, log);
  for (const name of ["dead", "alive"]) await saveWorkflow(one, single(name));
  const dead = "default/dead";
  broker.faults.set(dead, new BrokerFault("access denied", { permanent: true }));
  const left = new Set<string>();
  const work = async (name: string, count: number) => {
    for (let n = 0; n < count; n++) left.add(await startExecution(one, name));
    for (let server = other; left.size > 0; server = server === one ? other : one) {
      for (const task of await poll(server, { actions: [name], maxTasks: 5, waitSeconds: 5 })) {
        await complete(server, done(task));
        left.delete(task.executionId);
      }
    }
  };
  const logged = (text: string) => lines.filter((line) => line.includes(text)).length;
  const claimed = async () =>
    sumOf(await readMetrics(other), "orchy_queue_tickets_total", 'event="claimed"');
  const waiting = poll(one, { actions: ["dead"], waitSeconds: 60 });
  while (logged("a queue for tickets cannot be used") === 0) await Bun.sleep(5);
  while ((await claimed()) === 0) await work("alive", 10);
  await startExecution(other, "dead");
  for (const task of await waiting) await complete(one, done(task));
  await work("dead", 10);
  expect(logged("is away")).toBe(0);
  // Of each server, of receiving and of sending.
  expect(logged("a queue for tickets cannot be used")).toBeLessThanOrEqual(4);
  for (const server of [one, other]) await server.remove();
});

test("a task that a worker gives back, and polls that do not wait, get their tickets, too", async () => {
  const broker = new LossyBroker(new Chance(3), noLosses);
  const [one, other] = await startServers(broker);
  await saveWorkflow(one, single("back"));
  const id = await startExecution(one, "back");
  const first = await pollOne(one, "back");
  const waiting = pollOne(other, "back");
  await service(one, "Release", { tokens: [first.token] });
  const second = await waiting;
  expect([second.executionId, second.attempt]).toEqual([id, first.attempt]);
  await complete(other, done(second));
  await startExecution(one, "back");
  let looked: readonly Task[] = [];
  while (looked.length === 0) {
    looked = await poll(one, { actions: ["back"], waitSeconds: 0 });
  }
  expect(await complete(one, done(looked[0]!))).toEqual(["ACCEPTED"]);
  for (const server of [one, other]) await server.remove();
});
