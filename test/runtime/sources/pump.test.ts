/** The pump of a source: what it acknowledges and when, what it tries again, and what it buries. */
import { expect, test } from "bun:test";
import { OrchyError } from "../../../src/base/errors.ts";
import { limits } from "../../../src/base/limits.ts";
import { BrokerFault, type IncomingMessage } from "../../../src/brokers/message.ts";
import { Gate } from "../../../src/runtime/shared/gate.ts";
import type { Handled } from "../../../src/runtime/sources/handler.ts";
import type { DeadLetter } from "../../../src/runtime/sources/parked.ts";
import { Pump } from "../../../src/runtime/sources/pump.ts";
import { StoreFault } from "../../../src/store/store.ts";
import { createLogger } from "../../../src/telemetry/log.ts";
import { HandClock } from "../../support/hand-clock.ts";
import { MemoryBrokers } from "../../support/memory-brokers.ts";

const from = { kind: "kafka", topic: "orders" } as const;

function pumpOf(
  handle: (message: IncomingMessage) => Promise<Handled>,
  { keepsOrder = false } = {},
) {
  const clock = new HandClock();
  const brokers = new MemoryBrokers();
  const queue = brokers.queue("orders");
  const buried: DeadLetter[] = [];
  const burial = {
    fault: undefined as Error | undefined,
    async bury(letter: DeadLetter) {
      if (burial.fault !== undefined) throw burial.fault;
      buried.push(letter);
    },
    async close() {},
  };
  const counts = new Map<string, number>();
  const pump = new Pump({
    name: "orders",
    receiver: brokers.receiver(from),
    handle,
    burial,
    keepsOrder,
    gate: new Gate(limits.sourceHandledAtOnceMax),
    clock,
    log: createLogger({ level: "silent", clock, write() {} }),
    count: (outcome) => void counts.set(outcome, (counts.get(outcome) ?? 0) + 1),
  });
  const send = (...bodies: string[]) => {
    for (const body of bodies) queue.send({ body });
  };
  /** All that can happen without the clock. */
  const settle = () => clock.pass(0).then(() => Bun.sleep(0));
  return { pump, clock, queue, send, buried, burial, counts, settle };
}

async function until(holds: () => boolean): Promise<void> {
  for (let turns = 0; !holds(); turns++) {
    if (turns === 10_000) throw new Error("it did not come to be");
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test("a message is acknowledged after it has been handled, not before", async () => {
  const handled = Promise.withResolvers<Handled>();
  const { pump, queue, send } = pumpOf(() => handled.promise);
  send("1");
  pump.start();
  await until(() => pump.status.inFlight === 1);
  expect(queue.messages.size).toBe(1);
  handled.resolve("started");
  await until(() => queue.messages.size === 0);
  expect(pump.status).toMatchObject({ state: "running", started: 1 });
  await pump.stop();
});

test("what cannot be handled is tried five times beside the others, then buried", async () => {
  const tried: string[] = [];
  const { pump, clock, queue, send, buried, counts } = pumpOf(async ({ body }) => {
    tried.push(body);
    if (body === "bad") throw new OrchyError("NOT_FOUND", "There is no workflow w.");
    return "started";
  });
  send("1", "bad", "2");
  pump.start();
  await until(() => queue.messages.size === 1);
  expect(tried).toEqual(["1", "bad", "2"]);
  for (const restMs of [500, 1_000, 2_000, 4_000]) {
    await clock.pass(restMs - 1);
    const before = tried.length;
    await clock.pass(1);
    await until(() => tried.length === before + 1);
  }
  await until(() => queue.messages.size === 0);
  expect(buried).toEqual([
    {
      message: expect.objectContaining({ body: "bad" }),
      reason: "There is no workflow w.",
      tries: 5,
    },
  ]);
  expect(Object.fromEntries(counts)).toEqual({ started: 2, failed: 5, dead: 1 });
  expect(pump.status).toMatchObject({
    deadLetters: 1,
    error: { message: "There is no workflow w." },
  });
  await pump.stop();
});

test("those of a group are handled in their order, and one that cannot be holds up its group alone", async () => {
  const tried: string[] = [];
  const overtaken = Promise.withResolvers<void>();
  const handle = async ({ body }: IncomingMessage) => {
    tried.push(body);
    if (body === "a1") throw new OrchyError("NOT_FOUND", "There is no workflow w.");
    if (body === "b1") await overtaken.promise;
    if (body === "c1") overtaken.resolve();
    return "signalled" as const;
  };
  const { pump, clock, queue, buried } = pumpOf(handle, { keepsOrder: true });
  queue.isOrdered = true;
  for (const body of ["a1", "a2", "b1", "a3", "b2", "c1"]) queue.send({ body, key: body[0]! });
  pump.start();
  await until(() => queue.messages.size === 3);
  expect(tried).toEqual(["a1", "b1", "c1", "b2"]);
  await clock.pass(500 + 1_000 + 2_000 + 4_000);
  await until(() => queue.messages.size === 0);
  expect(tried.slice(4)).toEqual(["a1", "a1", "a1", "a1", "a2", "a3"]);
  expect(buried.map(({ message }) => message.body)).toEqual(["a1"]);
  await pump.stop();
});

test("where the order does not matter, those of a group are handled side by side", async () => {
  const overtaken = Promise.withResolvers<void>();
  const { pump, queue } = pumpOf(async ({ body }) => {
    if (body === "a1") await overtaken.promise;
    else overtaken.resolve();
    return "started";
  });
  queue.isOrdered = true;
  for (const body of ["a1", "a2"]) queue.send({ body, key: "a" });
  pump.start();
  await until(() => queue.messages.size === 0);
  await pump.stop();
});

test.each([
  new StoreFault("not_applied", "away"),
  new OrchyError("RESOURCE_EXHAUSTED", "The store is full."),
  new OrchyError("UNKNOWN_OUTCOME", "Repeat the call."),
])("while the store cannot take it nothing is tried, lost or acknowledged: %s", async (fault) => {
  let isAway = true;
  let calls = 0;
  const { pump, clock, queue, send, buried } = pumpOf(async () => {
    calls += 1;
    if (isAway) throw fault;
    return "started";
  });
  send("1", "2");
  pump.start();
  await until(() => pump.status.state === "waiting");
  // Rests double, up to 30 s: in an hour there are some hundred looks, of both messages.
  await clock.pass(3_600_000);
  await until(() => pump.status.state === "waiting");
  expect(calls).toBeGreaterThan(2 * 100);
  expect(calls).toBeLessThan(2 * 140);
  expect([queue.messages.size, buried.length]).toEqual([2, 0]);
  send("3");
  await clock.pass(1_000);
  expect(pump.status.inFlight).toBe(2);
  isAway = false;
  await clock.pass(30_000);
  await until(() => queue.messages.size === 0);
  expect(pump.status).toMatchObject({ state: "running", started: 3, deadLetters: 0 });
  await pump.stop();
});

test("as many are in flight as may be, and few are handled at the same moment", async () => {
  let atOnce = 0;
  let most = 0;
  const isOpen = Promise.withResolvers<void>();
  const { pump, queue, send } = pumpOf(async () => {
    atOnce += 1;
    most = Math.max(most, atOnce);
    await isOpen.promise;
    atOnce -= 1;
    return "started";
  });
  send(...Array.from({ length: 1_000 }, (_, i) => `${i}`));
  pump.start();
  await until(() => pump.status.inFlight === limits.sourceInFlightMax);
  expect(queue.taken.size).toBe(limits.sourceInFlightMax);
  isOpen.resolve();
  await until(() => queue.messages.size === 0);
  expect(most).toBe(limits.sourceHandledAtOnceMax);
  await pump.stop();
});

test("large messages take the room of many", async () => {
  const isOpen = Promise.withResolvers<Handled>();
  const { pump, queue, send, settle } = pumpOf(() => isOpen.promise);
  send(...Array.from({ length: 100 }, () => "x".repeat(1024 * 1024)));
  pump.start();
  await until(() => pump.status.inFlight > 0);
  await settle();
  // One call of the broker may pass the bound.
  expect(pump.status.inFlight).toBe(64 - 32);
  isOpen.resolve("started");
  await until(() => queue.messages.size === 0);
  await pump.stop();
});

test("one that is delivered again meanwhile is handled once, and acknowledged as it came last", async () => {
  const handled = Promise.withResolvers<Handled>();
  let calls = 0;
  const { pump, queue, send } = pumpOf(() => {
    calls += 1;
    return handled.promise;
  });
  send("1");
  pump.start();
  await until(() => calls === 1);
  queue.release(["m-1"]);
  await until(() => queue.messages.get("m-1")?.deliveries === 2);
  handled.resolve("started");
  await until(() => queue.messages.size === 0);
  expect([calls, pump.status.started, pump.status.inFlight]).toEqual([1, 1, 0]);
  await pump.stop();
});

test("a dead letter that cannot be buried is kept, and the source fails meanwhile", async () => {
  const { pump, clock, queue, send, buried, burial } = pumpOf(async () => {
    throw new Error("bad");
  });
  burial.fault = new OrchyError("TOO_MANY", "1000 messages are parked.");
  send("1");
  pump.start();
  await until(() => pump.status.inFlight === 1);
  await clock.pass(60_000);
  expect(pump.status.state).toBe("failing");
  expect(queue.messages.size).toBe(1);
  expect(pump.status.error?.message).toBe("1000 messages are parked.");
  burial.fault = undefined;
  await clock.pass(30_000);
  await until(() => queue.messages.size === 0);
  expect(buried).toHaveLength(1);
  expect(pump.status.state).toBe("running");
  await pump.stop();
});

test("while the broker is away nothing is lost; what was handled is acknowledged after that", async () => {
  const { pump, clock, queue, send } = pumpOf(async () => "started");
  queue.fault = new BrokerFault("away", { permanent: false });
  send("1");
  pump.start();
  await clock.pass(60_000);
  expect(pump.status).toMatchObject({ state: "failing", error: { message: "away" } });
  queue.fault = undefined;
  await clock.pass(30_000);
  await until(() => queue.messages.size === 0);
  send("2");
  // An outage is over after some time without a failure.
  await clock.pass(5_000);
  send("3");
  await until(() => queue.messages.size === 0 && pump.status.state === "running");
  expect(pump.status.started).toBe(3);
  await pump.stop();
});

test("a stop waits for what is being handled, acknowledges it, and gives the rest back", async () => {
  const handled = Promise.withResolvers<Handled>();
  const { pump, queue, send } = pumpOf(async ({ body }) => {
    if (body === "bad") throw new Error("bad");
    return handled.promise;
  });
  send("bad", "1");
  pump.start();
  await until(() => pump.status.inFlight === 2);
  const stopped = pump.stop();
  handled.resolve("started");
  await stopped;
  expect([...queue.messages.values()].map(({ body }) => body)).toEqual(["bad"]);
  expect(queue.taken.has("m-1")).toBe(false);
});
