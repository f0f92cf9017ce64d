/** Tickets on their way to a broker that is there, away, or slow; and to those of a server that died. */
import { afterEach, expect, test } from "bun:test";
import { type Clock, systemClock } from "../../src/base/clock.ts";
import { limits } from "../../src/base/limits.ts";
import type { BrokerAddress } from "../../src/brokers/address.ts";
import { BrokerFault, type OutgoingMessage, type Sender } from "../../src/brokers/message.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { StoreFault } from "../../src/store/store.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { MemoryBrokers } from "../support/memory-brokers.ts";
import {
  type Answer,
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";
import { until } from "../support/redis.ts";
import { takeTicket } from "../support/tickets.ts";

const servers: TestServer[] = [];
let aheadMs = 0;
/** Pauses are a tenth as long; moments are what they are, and can be moved on. */
const clock: Clock = {
  ...systemClock,
  now: () => systemClock.now() + aheadMs,
  after: (ms, callback) => systemClock.after(ms / 10, callback),
};
afterEach(async () => {
  aheadMs = 0;
  for (const server of servers.splice(0)) await server.remove();
});

const off = new BrokerFault("it is switched off", { permanent: false });

class CountingBrokers extends MemoryBrokers {
  /** Of `send`. */
  calls = 0;

  override sender(address: BrokerAddress): Sender {
    const sender = super.sender(address);
    const send: Sender["send"] = (messages) => {
      this.calls += 1;
      return sender.send(messages);
    };
    return { ...sender, send };
  }
}

/** Takes no message whose parameters are bad. */
class RefusingBrokers extends MemoryBrokers {
  override sender(address: BrokerAddress): Sender {
    const sender = super.sender(address);
    const fault = new BrokerFault("it is too large", { permanent: true });
    const isBad = ({ body }: OutgoingMessage) => JSON.parse(body).parameters.bad === true;
    const send: Sender["send"] = async (messages) => {
      const good = messages.filter((message) => !isBad(message));
      const outcomes = await sender.send(good);
      return messages.map((message) => (isBad(message) ? fault : outcomes[good.indexOf(message)]));
    };
    return { ...sender, send };
  }
}

/** Takes messages, and never replies. */
class SilentBrokers extends CountingBrokers {
  override sender(address: BrokerAddress): Sender {
    const sender = super.sender(address);
    const send: Sender["send"] = async (messages) => {
      await sender.send(messages);
      return new Promise(() => {});
    };
    return { ...sender, send };
  }
}

async function open(parts: Parameters<typeof startTestServer>[0] = {}) {
  const brokers = new CountingBrokers();
  const lines: string[] = [];
  const log = createLogger({ level: "warn", clock, write: (line) => lines.push(line) });
  const store = new MemoryStore({ partitions: 4 });
  const server = await startTestServer({
    ...parts,
    parts: { store, clock, log, brokers, ...parts.parts },
  });
  servers.push(server);
  const logged = (word: string) => lines.filter((line) => line.includes(word)).length;
  return { brokers, server, store, logged };
}

async function saveDelivered(server: TestServer, name: string, rules: object = {}): Promise<void> {
  await call(server, "PUT", `/v1/actions/${name}`, { deliver: { to: `sqs:${name}` }, ...rules });
  const child = { id: 2, type: "system", name: "workflow", workflow: "child" };
  const actions = [{ id: 1, type: "user", name, parameters: "$.input" }, child];
  await saveWorkflow(server, {
    name: "child",
    rootAction: 1,
    actions: [{ id: 1, type: "system", name: "transform" }],
  });
  await saveWorkflow(server, { name, rootAction: [1, 2], actions });
}

const settle = async (server: TestServer, ticket: string): Promise<Answer["body"]> =>
  (await call(server, "POST", "/v1/tasks/complete", { ticket })).body;

const parked = async (store: MemoryStore): Promise<number> =>
  (await store.listDocuments({ kind: "parked-ticket", limit: 1_000 })).length;

/** Lets the time pass until the loop that sends parked tickets, and the relay, try again. */
async function pass(): Promise<void> {
  aheadMs += 20_000;
}

test("a broker that is away holds up its tickets and nothing else", async () => {
  const { server, brokers, store, logged } = await open();
  await saveDelivered(server, "pay");
  await saveDelivered(server, "ship");
  brokers.queue("pay").fault = off;
  const ids: string[] = [];
  for (let n = 0; n < 30; n++) ids.push(await startExecution(server, "pay", { n }));
  await until(async () => (await parked(store)) === 30);
  expect(logged("The broker of sqs:pay is away")).toBe(1);
  const ready = await call(server, "GET", "/health/ready");
  expect([ready.status, ready.body.checks.brokers]).toEqual([
    200,
    { ok: false, message: "sqs:pay takes no messages: it is switched off." },
  ]);
  // Of the same executions: what comes after the ticket in their outboxes.
  for (const id of ids) {
    const { body } = await call(server, "GET", `/v1/executions/${id}`);
    expect(body.actions[1].status).toMatch(/^(RUNNING|COMPLETED|WAITING)$/);
  }
  const childOf = async (id: string) => {
    const { body } = await call(server, "GET", `/v1/executions/${id}`);
    return body.actions[1].status;
  };
  await until(async () =>
    (await Promise.all(ids.map(childOf))).every((one) => one === "COMPLETED"),
  );
  // Another place of the same server.
  const other = await startExecution(server, "ship");
  expect(await settle(server, (await takeTicket(brokers, "ship")).ticket)).toEqual({
    status: "accepted",
  });
  await untilEnded(server, other);
  expect(brokers.calls).toBeLessThan(30);
  brokers.queue("pay").fault = undefined;
  await pass();
  await until(async () => (await parked(store)) === 0);
  const seen = new Set<number>();
  for (let n = 0; n < 30; n++) {
    const { ticket, parameters } = await takeTicket(brokers, "pay");
    seen.add(parameters.n);
    expect(await settle(server, ticket)).toEqual({ status: "accepted" });
  }
  expect(seen.size).toBe(30);
  for (const id of ids) expect((await untilEnded(server, id)).status).toBe("COMPLETED");
  await pass();
  const last = await startExecution(server, "pay");
  await settle(server, (await takeTicket(brokers, "pay")).ticket);
  await untilEnded(server, last);
  await until(async () => logged("The broker of sqs:pay is back") === 1);
  expect(logged("The broker of sqs:pay is away")).toBe(1);
  const after = await call(server, "GET", "/health/ready");
  expect(after.body.checks.brokers).toBeUndefined();
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  expect(metrics).toContain('orchy_tickets_total{broker="sqs",outcome="parked"} 30');
  expect(metrics).toContain('orchy_ticket_calls_total{call="complete",outcome="accepted"} 32');
}, 60_000);

test("tickets of tasks that are over are not sent later", async () => {
  const { server, brokers, store } = await open();
  await saveDelivered(server, "pay");
  brokers.queue("pay").fault = off;
  const id = await startExecution(server, "pay");
  await until(async () => (await parked(store)) === 1);
  await call(server, "POST", `/v1/executions/${id}/cancel`);
  brokers.queue("pay").fault = undefined;
  await pass();
  await until(async () => (await parked(store)) === 0);
  expect(brokers.queue("pay").messages.size).toBe(0);
});

test("one message that a broker refuses for good does not keep the others back", async () => {
  const brokers = new RefusingBrokers();
  const { server, store } = await open({ parts: { brokers } });
  await saveDelivered(server, "pay");
  const bad = await startExecution(server, "pay", { bad: true });
  await until(async () => (await parked(store)) === 1);
  await pass();
  const good = await startExecution(server, "pay", { bad: false });
  const { ticket, executionId } = await takeTicket(brokers, "pay");
  expect(executionId).toBe(good);
  expect(await settle(server, ticket)).toEqual({ status: "accepted" });
  await untilEnded(server, good);
  expect(await parked(store)).toBe(1);
  await call(server, "POST", `/v1/executions/${bad}/cancel`);
  await pass();
  await until(async () => (await parked(store)) === 0);
}, 60_000);

test("of parked tickets, one that is refused for good does not keep the others back", async () => {
  const brokers = new RefusingBrokers();
  const { server, store, logged } = await open({ parts: { brokers } });
  await saveDelivered(server, "pay");
  brokers.queue("pay").fault = off;
  await startExecution(server, "pay", { bad: true });
  // Its ticket is first in the list of parked ones, which is in the order of the starts.
  await until(async () => (await parked(store)) === 1);
  const good: string[] = [];
  for (let n = 0; n < 3; n++) good.push(await startExecution(server, "pay", { n }));
  await until(async () => (await parked(store)) === 4);
  brokers.queue("pay").fault = undefined;
  await pass();
  const sent: string[] = [];
  await until(async () => {
    await pass();
    const waiting = brokers.queue("pay").messages.size;
    for (let n = 0; n < waiting; n++) sent.push((await takeTicket(brokers, "pay")).executionId);
    return sent.length === 3;
  });
  expect(sent.toSorted()).toEqual(good.toSorted());
  expect(await parked(store)).toBe(1);
  expect(logged("a broker refuses a ticket")).toBeGreaterThan(0);
}, 60_000);

test("what a server has not sent when it dies, the next one sends", async () => {
  const silent = new SilentBrokers();
  const first = await open({ parts: { brokers: silent } });
  await saveDelivered(first.server, "pay");
  const id = await startExecution(first.server, "pay");
  await until(async () => silent.calls === 1);
  const brokers = new MemoryBrokers();
  const { store } = first;
  const second = await startTestServer({ parts: { store, clock, brokers } });
  servers.push(second);
  aheadMs += limits.outboxHideMs;
  const { ticket, executionId } = await takeTicket(brokers, "pay");
  expect(executionId).toBe(id);
  expect(await settle(second, ticket)).toEqual({ status: "accepted" });
}, 60_000);

test("what a claim by ticket may have leased without a response can be claimed again", async () => {
  const { server, store, brokers } = await open();
  await saveDelivered(server, "pay");
  await startExecution(server, "pay", {});
  const { ticket } = await takeTicket(brokers, "pay");
  const { claimTask } = store;
  let lost = 0;
  store.claimTask = async (request) => {
    const answer = await claimTask.call(store, request);
    if (++lost <= 2) throw new StoreFault("unknown", "cut off");
    return answer;
  };
  const claim = () => call(server, "POST", "/v1/tasks/claim", { ticket });
  expect((await claim()).status).toBe(503);
  await until(async () => (await claim()).body.status === "claimed");
});

test("tasks that are delivered are not reported as unpolled", async () => {
  const { server, brokers, logged } = await open();
  await saveDelivered(server, "pay");
  await saveWorkflow(server, {
    name: "plain",
    rootAction: 1,
    actions: [{ id: 1, type: "user", name: "plain" }],
  });
  await startExecution(server, "pay");
  await takeTicket(brokers, "pay");
  await startExecution(server, "plain");
  aheadMs += limits.unpolledMs;
  await until(async () => {
    aheadMs += 1_000;
    return logged("no worker polls for them") === 1;
  });
  expect(logged('"action":"pay"')).toBe(0);
}, 60_000);
