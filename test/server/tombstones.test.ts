/** What a deleted execution leaves: nothing runs twice, and its id is forgotten after its time. */
import { afterEach, expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { limits } from "../../src/base/limits.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { openSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import type { Store } from "../../src/store/store.ts";
import { temporaryFolder } from "../store/temporary.ts";
import { readMetrics, total } from "../support/metrics.ts";
import {
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";
import { redisMissing, startRedis, until } from "../support/redis.ts";
import { hooked } from "./unsure-store.ts";

const folder = temporaryFolder();
const servers: TestServer[] = [];
let aheadMs = 0;
const clock = { ...systemClock, now: () => systemClock.now() + aheadMs };

afterEach(async () => {
  aheadMs = 0;
  for (const server of servers.splice(0)) await server.remove();
  folder.remove();
});

async function open(store: Store | string): Promise<TestServer> {
  const options = typeof store === "string" ? { store } : { parts: { store, clock } };
  const server = await startTestServer(options);
  servers.push(server);
  await saveWorkflow(server, quick("quick"));
  return server;
}

const quick = (name: string, more: object = {}) => ({
  name,
  rootAction: "t",
  ...more,
  actions: [{ id: "t", type: "system", name: "transform", parameters: { ended: true } }],
});

async function startQuick(server: TestServer, more: object = {}, headers = {}) {
  return await call(server, "POST", "/v1/executions", { workflow: "quick", ...more }, headers);
}

async function startAndDelete(server: TestServer, more: object = {}, headers = {}) {
  const { body } = await startQuick(server, more, headers);
  await untilEnded(server, body.id);
  await remove(server, body.id);
  return body.id as string;
}

async function remove(server: TestServer, id: string): Promise<void> {
  expect((await call(server, "DELETE", `/v1/executions/${id}`)).status).toBe(204);
}

const statusOf = async (server: TestServer, id: string) =>
  (await call(server, "GET", `/v1/executions/${id}`)).status;

const sqlite = () => openSqliteStore({ path: `${folder.path}/orchy.db`, namespace: "orchy" });

test("an id that the server made is remembered for minutes, one that was chosen for a day", async () => {
  const server = await open(sqlite());
  const made = await startAndDelete(server);
  const chosen = await startAndDelete(server, { executionId: "chosen" });
  const keyed = await startAndDelete(server, {}, { "idempotency-key": "k" });
  const all = [made, chosen, keyed];
  const statuses = () => Promise.all(all.map((id) => statusOf(server, id)));
  expect(await statuses()).toEqual([410, 410, 410]);
  const ready = await call(server, "GET", "/health/ready");
  expect(ready.body.checks.store.message).toContain("the ids of 3 deleted executions");

  aheadMs += limits.generatedTombstoneSeconds * 1000;
  await startAndDelete(server);
  expect(await statuses()).toEqual([404, 410, 410]);
  aheadMs += limits.tombstoneSecondsDefault * 1000;
  for (let i = 0; i < 2; i++) await startAndDelete(server);
  expect(await statuses()).toEqual([404, 404, 404]);
});

/** What a caller hears who repeats a start whose execution has been deleted. */
async function repeatAfterDeletion(server: TestServer): Promise<void> {
  const key = { "idempotency-key": "k" };
  for (const [more, headers] of [
    [{ input: { n: 1 } }, key],
    [{ input: { n: 1 }, executionId: "chosen" }, {}],
  ] as const) {
    const first = await startQuick(server, more, headers);
    const { endedAt } = await untilEnded(server, first.body.id);
    await remove(server, first.body.id);
    const { id } = first.body;
    const known = { id, status: "COMPLETED", created: false, deleted: true, endedAt };
    expect(await startQuick(server, more, headers)).toEqual({ status: 202, body: known });
    const other = await startQuick(server, { ...more, input: { n: 2 } }, headers);
    expect([other.status, other.body.error.code]).toEqual([409, "CONFLICT"]);
    expect(await statusOf(server, id)).toBe(410);
  }
}

test("a start repeated after the deletion is told its id and how it ended", async () => {
  await repeatAfterDeletion(await open(sqlite()));
});

test("a start is repeated, and a new one refused, once the workflow is deleted", async () => {
  const server = await open(sqlite());
  const key = (name: string) => ({ "idempotency-key": name });
  const { body: first } = await startQuick(server, {}, key("there"));
  const deleted = await startAndDelete(server, { executionId: "deleted" });
  expect((await call(server, "DELETE", "/v1/workflows/quick")).status).toBe(204);
  for (const headers of [{}, key("new")]) {
    expect((await startQuick(server, {}, headers)).status).toBe(404);
  }
  const there = (await startQuick(server, {}, key("there"))).body;
  expect(there).toMatchObject({ id: first.id, created: false });
  const again = (await startQuick(server, { executionId: deleted })).body;
  expect(again).toMatchObject({ id: deleted, created: false, deleted: true });
});

test("a signal with an id is told that the execution was deleted", async () => {
  const server = await open(sqlite());
  const { body } = await startQuick(server);
  await untilEnded(server, body.id);
  const signal = { event: "go", signalId: "s" };
  const send = () => call(server, "POST", `/v1/executions/${body.id}/signal`, signal);
  expect((await send()).body.error.code).toBe("INVALID_STATE");
  await remove(server, body.id);
  expect((await send()).status).toBe(410);
  signal.signalId = "other";
  expect((await send()).status).toBe(410);
});

test("a full store refuses new starts, and none that is only repeated", async () => {
  let used = 0;
  const store = hooked(new MemoryStore({ partitions: 1 }), { pressure: async () => ({ used }) });
  const server = await open(store);
  const key = (name: string) => ({ "idempotency-key": name });
  const { body: first } = await startQuick(server, {}, key("there"));
  const deleted = await startAndDelete(server, {}, key("deleted"));
  used = 1;
  // A reading of the room is trusted for a second.
  aheadMs += 2_000;
  for (const headers of [{}, key("new")]) {
    expect((await startQuick(server, {}, headers)).status).toBe(503);
  }
  const again = async (name: string) => (await startQuick(server, {}, key(name))).body;
  expect(await again("there")).toMatchObject({ id: first.id, created: false });
  expect(await again("deleted")).toMatchObject({ id: deleted, created: false, deleted: true });
});

test.skipIf(redisMissing !== undefined)("the same on Redis, whose tombstones expire", async () => {
  const redis = await startRedis();
  try {
    const server = await open(`redis://127.0.0.1:${redis.port}`);
    const secondsOf = async (id: string) => {
      const [key] = await redis.client.keys(`*:x:${id}`);
      return redis.client.ttl(key as string);
    };
    const made = await secondsOf(await startAndDelete(server));
    await repeatAfterDeletion(server);
    const chosen = await secondsOf("chosen");
    // A minute longer, for clocks that are apart.
    for (const [seconds, most] of [
      [made, limits.generatedTombstoneSeconds + 60],
      [chosen, limits.tombstoneSecondsDefault + 60],
    ] as const) {
      expect(seconds).toBeGreaterThan(most - 60);
      expect(seconds).toBeLessThanOrEqual(most);
    }
  } finally {
    for (const server of servers.splice(0)) await server.remove();
    await redis.stop();
  }
});

test("a deleted follow-up whose acknowledgement was lost does not run again", async () => {
  let isLost = true;
  let deliveries = 0;
  const store = hooked(new MemoryStore({ partitions: 1 }), {
    ackOutbox: async (ack, _count, request) => (isLost ? undefined : ack(request)),
    claimOutbox: async (claim, _count, request) => {
      const answer = await claim(request);
      deliveries += answer.messages.length;
      return answer;
    },
  });
  const first = await open(store);
  await saveWorkflow(first, quick("source", { onSuccess: { workflow: "quick" } }));
  const source = await startExecution(first, "source");
  const followers = async () => {
    const { body } = await call(first, "GET", "/v1/executions?workflow=quick");
    return body.items.map((item: { id: string }) => item.id) as string[];
  };
  await until(async () => (await followers()).length > 0);
  const [id] = (await followers()) as [string];
  await untilEnded(first, id);
  await remove(first, id);
  await first.stop();

  // Longer than the server remembers ids that it made.
  aheadMs += 2 * limits.generatedTombstoneSeconds * 1000;
  isLost = false;
  const second = await open(store);
  const isSent = async () =>
    (await store.holdings({ partition: 0, id: source })).messages.length === 0;
  await until(isSent);
  expect(deliveries).toBe(2);
  expect(await statusOf(second, id)).toBe(410);
  const started = total(await readMetrics(second), "orchy_executions_started_total");
  expect(started).toBe(0);
});

test("a follow-up that is delivered again has not failed because its workflow is deleted", async () => {
  let isLost = true;
  const store = hooked(new MemoryStore({ partitions: 1 }), {
    ackOutbox: async (ack, _count, request) => (isLost ? undefined : ack(request)),
  });
  const first = await open(store);
  await saveWorkflow(first, quick("source", { onSuccess: { workflow: "quick" } }));
  const source = await startExecution(first, "source");
  const count = async (server: TestServer) =>
    (await call(server, "GET", "/v1/executions?workflow=quick")).body.items.length as number;
  await until(async () => (await count(first)) > 0);
  expect((await call(first, "DELETE", "/v1/workflows/quick")).status).toBe(204);
  await first.stop();
  isLost = false;
  aheadMs += 2 * limits.outboxHideMs;
  const second = await startTestServer({ parts: { store, clock } });
  servers.push(second);
  const isSent = async () =>
    (await store.holdings({ partition: 0, id: source })).messages.length === 0;
  await until(isSent);
  const history = await call(second, "GET", `/v1/executions/${source}/history`);
  const kinds = history.body.items.map(({ kind }: { kind: string }) => kind);
  expect(kinds).toContain("follow-up.sent");
  expect(kinds).not.toContain("follow-up.failed");
  expect(await count(second)).toBe(1);
});

test("an execution under the id of a deleted one has a follow-up of its own", async () => {
  for (const life of [1, 2]) {
    const server = await open(sqlite());
    await saveWorkflow(server, quick("source", { onSuccess: { workflow: "quick" } }));
    await startExecution(server, "source", {}, { executionId: "again" });
    // It cannot be deleted before its message is acknowledged.
    await until(async () => (await call(server, "DELETE", "/v1/executions/again")).status === 204);
    const { body } = await call(server, "GET", "/v1/executions?workflow=quick");
    expect(body.items.length).toBe(life);
    await server.stop();
    aheadMs += limits.tombstoneSecondsDefault * 1000;
  }
});
