/** Sources over REST: messages start executions, or are signals; each counts once. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BrokerFault } from "../../src/brokers/message.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { MemoryBrokers } from "../support/memory-brokers.ts";
import {
  type Answer,
  call,
  saveWorkflow,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";
import { type RedisServer, redisMissing, startRedis, until } from "../support/redis.ts";

const waits = {
  name: "waits",
  rootAction: "a",
  actions: [{ id: "a", type: "system", name: "wait", event: "go" }],
};
const start = (more: object = {}) => ({
  from: "kafka:orders",
  as: { start: { workflow: "waits", input: "$.message.value" } },
  ...more,
});

/** Each execution of the correlationId, the ids sorted. */
async function executionsOf(server: TestServer, query = ""): Promise<Answer["body"][]> {
  const items: Answer["body"][] = [];
  for (let cursor = ""; ; ) {
    const page = await call(server, "GET", `/v1/executions?limit=500${query}${cursor}`);
    items.push(...page.body.items);
    if (page.body.cursor === undefined) return items;
    cursor = `&cursor=${page.body.cursor}`;
  }
}

describe("one server", () => {
  const brokers = new MemoryBrokers();
  let server: TestServer;
  const source = (name: string, method = "GET", path = "", body?: object) =>
    call(server, method, `/v1/sources/${name}${path}`, body);

  beforeAll(async () => {
    server = await startTestServer({ parts: { brokers } });
    await saveWorkflow(server, waits);
    // What five tries take goes on beside the other tests.
    const as = { start: { workflow: "nobody-saved" } };
    await source("poison", "PUT", "", { from: "sqs:poison", deadLetter: "sqs:dead", as });
    await source("refused", "PUT", "", { from: "sqs:refused", deadLetter: "sqs:full", as });
    brokers.queue("full").fault = new BrokerFault("too large", { permanent: true });
    const message = { body: '{"n":1}', key: "k", headers: { h: "1" } };
    for (const name of ["poison", "refused"]) brokers.queue(name).send(message);
  });
  afterAll(() => server.remove());

  test("each message starts one execution, exactly as it was sent", async () => {
    const saved = await source("orders", "PUT", "", start());
    expect([saved.status, saved.body.name]).toEqual([200, "orders"]);
    const queue = brokers.queue("orders");
    queue.send({ body: '{"id":12345678901234567890}' });
    for (let i = 0; i < 200; i++) queue.send({ body: `{"i":${i}}` });
    await until(async () => queue.messages.size === 0);
    const started = await executionsOf(server);
    expect(started).toHaveLength(201);
    const inputs = await Promise.all(
      started.map(async ({ id }) => {
        const response = await fetch(`${server.url}/v1/executions/${id}/data/$.input`);
        return response.text();
      }),
    );
    expect(inputs.filter((text) => text === '{"id":12345678901234567890}')).toHaveLength(1);
    expect(new Set(inputs).size).toBe(201);
    const { body } = await source("orders");
    expect(body).toMatchObject({ ...start(), state: "running", status: { started: 201 } });
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    expect(metrics).toContain('orchy_source_messages_total{source="orders",outcome="started"} 201');
    expect((await call(server, "GET", "/v1/sources?limit=1")).body.items).toEqual([
      expect.objectContaining({ name: "orders" }),
    ]);
  });

  test("a message that is delivered again counts once, also after the source was changed", async () => {
    const queue = brokers.queue("again");
    const definition = start({ from: "kafka:again", as: { start: { workflow: "waits" } } });
    await source("again", "PUT", "", definition);
    queue.send({ body: "1" });
    const [[id, message]] = [...queue.messages] as [[string, never]];
    await until(async () => queue.messages.size === 0);
    const as = { start: { workflow: "waits", input: { other: "$.message.value" } } };
    await source("again", "PUT", "", { ...definition, as });
    queue.messages.set(id!, message);
    queue.release([id!]);
    await until(async () => queue.messages.size === 0);
    await until(async () => (await source("again")).body.status?.duplicates === 1);
    expect((await source("again")).body.status.started).toBe(0);
  });

  test("a key of the message makes several messages one start", async () => {
    const queue = brokers.queue("keyed");
    const definition = start({
      from: "kafka:keyed",
      as: { start: { workflow: "waits", correlationId: "keyed" } },
      idempotencyKey: "order-{$.message.value.id}",
    });
    await source("keyed", "PUT", "", definition);
    for (const id of [1, 2, 1, 1, 2]) queue.send({ body: JSON.stringify({ id }) });
    await until(async () => queue.messages.size === 0);
    expect(await executionsOf(server, "&correlationId=keyed")).toHaveLength(2);
    // The same key as that of a start over REST.
    const headers = { "idempotency-key": "order-1" };
    const body = { workflow: "waits", input: { id: 1 }, correlationId: "keyed" };
    expect((await call(server, "POST", "/v1/executions", body, headers)).body.created).toBe(false);
  });

  test("signals go to an execution, or to those of a correlationId", async () => {
    const signal = { event: "$.message.headers.what", correlationId: "$.message.key" };
    await source("signals", "PUT", "", { from: "sqs:signals", as: { signal } });
    const body = { workflow: "waits", correlationId: "c-1" };
    const ids: string[] = [];
    for (let i = 0; i < 2; i++) {
      ids.push((await call(server, "POST", "/v1/executions", body)).body.id);
    }
    brokers.queue("signals").send({ key: "c-1", body: '{"n":1.0}', headers: { what: "go" } });
    for (const id of ids) {
      expect((await untilEnded(server, id)).result).toEqual({ event: "go", payload: { n: 1 } });
    }
    expect((await source("signals")).body.status).toMatchObject({ signalled: 1 });
  });

  test("what cannot be handled is parked, and read and deleted over REST", async () => {
    const as = { start: { workflow: "later" } };
    await source("parks", "PUT", "", { from: "sqs:parks", as });
    const queue = brokers.queue("parks");
    queue.send({ body: "{", key: "k", headers: { h: "1" } });
    queue.send({ body: '{"n":1}' });
    // The workflow comes in time.
    await until(async () => (await source("parks")).body.status?.error !== undefined);
    await saveWorkflow(server, { ...waits, name: "later" });
    await until(async () => queue.messages.size === 0);
    expect((await source("parks")).body.status).toMatchObject({ started: 1, deadLetters: 1 });
    const { body } = await source("parks", "GET", "/parked");
    expect(body.items).toEqual([
      {
        id: expect.any(String),
        reason: 'The value is not JSON: "{".',
        tries: 5,
        parkedAt: expect.any(String),
        message: {
          id: "m-1",
          key: "k",
          value: "{",
          headers: { h: "1" },
          sentAt: expect.any(String),
        },
      },
    ]);
    const path = `/parked/${body.items[0].id}`;
    expect((await source("parks", "DELETE", path)).status).toBe(204);
    expect((await source("parks", "DELETE", path)).status).toBe(404);
    expect((await source("parks", "GET", "/parked")).body.items).toEqual([]);
  }, 60_000);

  test("or goes to the place for dead letters, with the reason", async () => {
    const dead = brokers.queue("dead");
    await until(async () => dead.messages.size === 1);
    const [letter] = [...dead.messages.values()];
    expect(letter).toMatchObject({ body: '{"n":1}', key: "k", headers: { h: "1" } });
    expect(JSON.parse(letter!.headers["orchy-dead-letter"]!)).toEqual({
      source: "poison",
      message: "m-1",
      tries: 5,
      reason: "There is no workflow nobody-saved.",
    });
    // A place that will never take it is no reason to lose it.
    await until(async () => (await source("refused", "GET", "/parked")).body.items.length === 1);
    const [parked] = (await source("refused", "GET", "/parked")).body.items;
    expect(parked.reason).toBe("There is no workflow nobody-saved. too large");
  }, 60_000);

  test("a dead letter that comes back to its source is parked, by whatever name the place is the same", async () => {
    const dead = "sqs:http://127.0.0.1/000000000000/round";
    const queue = brokers.queue("http://127.0.0.1/000000000000/round");
    // Two names of one queue.
    brokers.alias("round", queue);
    const as = { start: { workflow: "nobody-saved" } };
    await source("round", "PUT", "", { from: "sqs:round", deadLetter: dead, as });
    brokers.queue("round").send({ body: "1" });
    const parked = async () => (await source("round", "GET", "/parked")).body.items;
    await until(async () => (await parked()).length === 1 && queue.messages.size === 0);
    expect((await parked())[0].reason).toContain("deadLetter is where its messages come from");
    expect((await source("round")).body.status).toMatchObject({ started: 0, deadLetters: 2 });
  }, 60_000);

  test("a paused source takes nothing, and goes on when it is resumed", async () => {
    const queue = brokers.queue("paused");
    await source("paused", "PUT", "", start({ from: "kafka:paused" }));
    await until(async () => (await source("paused")).body.state === "running");
    expect((await source("paused", "POST", "/pause")).body.state).toBe("paused");
    await until(async () => (await source("paused")).body.server === undefined);
    queue.send({ body: "1" });
    // A save leaves it paused.
    await source("paused", "PUT", "", start({ from: "kafka:paused", format: "text" }));
    expect([(await source("paused")).body.state, queue.taken.size]).toEqual(["paused", 0]);
    await source("paused", "POST", "/resume");
    await until(async () => queue.messages.size === 0);
    expect((await source("paused")).body.state).toBe("running");
  });

  test("a deleted source takes nothing, and its name is free", async () => {
    const queue = brokers.queue("deleted");
    await source("deleted", "PUT", "", start({ from: "kafka:deleted" }));
    await until(async () => (await source("deleted")).body.state === "running");
    expect((await source("deleted", "DELETE")).status).toBe(204);
    for (const [method, path] of [
      ["GET", ""],
      ["DELETE", ""],
      ["GET", "/parked"],
      ["POST", "/pause"],
    ] as const) {
      expect((await source("deleted", method, path)).status).toBe(404);
    }
    await source("deleted", "PUT", "", start({ from: "kafka:deleted" }));
    queue.send({ body: "1" });
    await until(async () => queue.messages.size === 0);
  });

  test("a restart goes on where the source was", async () => {
    const queue = brokers.queue("orders");
    server = await server.restart();
    queue.send({ body: '"after"' });
    await until(async () => queue.messages.size === 0);
    expect((await source("orders")).body.state).toBe("running");
  });

  test.each([
    [{ from: "kafka:orders" }, 400, "/as"],
    [start({ from: "redis:orders" }), 422, "/from"],
    [start({ as: { start: { workflow: "w" }, signal: { event: "e" } } }), 400, "/as"],
    [start({ as: { signal: { event: "e" } } }), 400, "/as/signal"],
    [start({ as: { signal: { event: "timeout", correlationId: "c" } } }), 422, "/as/signal/event"],
    [start({ as: { start: { workflow: "w", input: "$.input" } } }), 422, "/as/start/input"],
    [start({ idempotencyKey: "" }), 400, "/idempotencyKey"],
    [start({ password: "secret" }), 400, "/password"],
  ])("a wrong definition is refused: %j", async (definition, status, pointer) => {
    const answer = await source("wrong", "PUT", "", definition);
    expect([answer.status, answer.body.error.details[0].pointer]).toEqual([status, pointer]);
  });
});

test("what is neither a start nor a signal is refused by what it must be", async () => {
  const server = await startTestServer({ parts: { brokers: new MemoryBrokers() } });
  const { body } = await call(server, "PUT", "/v1/sources/wrong", { from: "sqs:orders", as: {} });
  expect(body.error.details).toEqual([
    { pointer: "/as", message: "It must be an object with either start or signal." },
  ]);
  await server.remove();
});

test("a key that may read reads them; changes need admin, and leave audit lines", async () => {
  const folder = mkdtempSync(join(tmpdir(), "orchy-audit-"));
  const file = join(folder, "audit.log");
  const brokers = new MemoryBrokers();
  const options = { store: "memory:", flags: ["--audit-log", file], parts: { brokers } };
  const server = await startTestServer(options);
  const by = (secret: string | undefined) => ({ authorization: `Bearer ${secret}` });
  const keyFor = async (scope: string, secret: string | undefined): Promise<string> => {
    const wanted = { name: scope, scopes: [scope] };
    return (await call(server, "POST", "/v1/keys", wanted, by(secret))).body.key;
  };
  const admin = await keyFor("admin", server.firstKeySecret);
  const reader = await keyFor("read", admin);
  const as = (secret: string) => (method: string, path: string, body?: object) =>
    call(server, method, `/v1/sources${path}`, body, by(secret));
  const path = "/orders/parked/00000000-0000-0000-0000-000000000000";
  const changes = [
    ["PUT", "/orders", 200],
    ["POST", "/orders/pause", 200],
    ["POST", "/orders/resume", 200],
    ["DELETE", path, 404],
    ["DELETE", "/orders", 204],
  ] as const;
  for (const [method, at, status] of changes) {
    const body = method === "PUT" ? start() : undefined;
    expect((await as(reader)(method, at, body)).status).toBe(403);
    expect((await as(admin)(method, at, body)).status).toBe(status);
    const seen = await as(reader)("GET", "/orders");
    expect(seen.status).toBe(at === "/orders" && method === "DELETE" ? 404 : 200);
  }
  await server.remove();
  const lines = readFileSync(file, "utf8").trim().split("\n");
  const done = lines.map((line) => JSON.parse(line)).filter(({ target }) => target === "orders");
  expect(done.map(({ what }) => what)).toEqual([
    "source saved",
    "source paused",
    "source resumed",
    "source deleted",
  ]);
  rmSync(folder, { recursive: true });
});

test("while the store is nearly full or away, a source waits with what it has", async () => {
  let used = 1;
  class Full extends MemoryStore {
    override async pressure() {
      return { ...(await super.pressure()), used };
    }
  }
  const brokers = new MemoryBrokers();
  const store = new Full({ partitions: 4 });
  const server = await startTestServer({ parts: { brokers, store } });
  await saveWorkflow(server, waits);
  await call(server, "PUT", "/v1/sources/orders", start());
  const source = async () => (await call(server, "GET", "/v1/sources/orders")).body;
  const queue = brokers.queue("orders");
  for (let i = 0; i < 10; i++) queue.send({ body: `${i}` });
  await until(async () => (await source()).state === "waiting");
  expect((await source()).status.error.message).toContain("New starts are refused");
  expect([queue.messages.size, await executionsOf(server)]).toEqual([10, []]);
  used = 0;
  await until(async () => queue.messages.size === 0);
  expect(await executionsOf(server)).toHaveLength(10);
  expect((await source()).status).toMatchObject({ started: 10, deadLetters: 0 });
  await server.remove();
}, 60_000);

describe.skipIf(redisMissing !== undefined)("servers that share a store", () => {
  const brokers = new MemoryBrokers();
  let redis: RedisServer;
  let servers: TestServer[] = [];

  beforeAll(async () => {
    redis = await startRedis();
    const options = { store: `redis://127.0.0.1:${redis.port}`, parts: { brokers } };
    for (const name of ["one", "two"]) {
      servers.push(await startTestServer({ ...options, flags: ["--node-name", name] }));
    }
    await saveWorkflow(servers[0]!, waits);
  }, 60_000);
  afterAll(async () => {
    for (const server of servers) await server.remove();
    await redis?.stop();
  });

  test("one of them reads a source, and when it stops the other one does", async () => {
    const queue = brokers.queue("orders");
    await call(servers[0]!, "PUT", "/v1/sources/orders", start());
    const holder = async () => {
      const { body } = await call(servers.at(-1)!, "GET", "/v1/sources/orders");
      return body.state === "running" ? (body.server as string) : undefined;
    };
    await until(async () => (await holder()) !== undefined);
    for (let i = 0; i < 300; i++) queue.send({ body: `${i}` });
    const first = await holder();
    const leaving = servers.find(({ self }) => self.name === first)!;
    servers = servers.filter((server) => server !== leaving);
    await leaving.remove();
    for (let i = 300; i < 600; i++) queue.send({ body: `${i}` });
    await until(async () => queue.messages.size === 0);
    const second = await holder();
    expect([first, second].sort()).toEqual(["one", "two"]);
    expect(await executionsOf(servers[0]!)).toHaveLength(600);
  }, 60_000);
});
