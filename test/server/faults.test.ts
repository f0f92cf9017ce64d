/** Faults of one server on the embedded store: restarts, crowds, bursts, shutdown under load. */
import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  call,
  createWorker,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
  untilEvent,
} from "../support/orchy.ts";
import { freePort } from "../support/ports.ts";
import { startProcess } from "../support/process.ts";
import { actionOf, complete, done, failed, poll, pollOne, single, type Task } from "./calls.ts";
import { startUnsureServer } from "./unsure-store.ts";

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

/** A few at a time: more would wait for each other's connections. */
async function inLanes<Item>(items: readonly Item[], work: (item: Item) => Promise<void>) {
  const rest = [...items];
  const lane = async () => {
    for (let item = rest.pop(); item !== undefined; item = rest.pop()) await work(item);
  };
  await Promise.all(Array.from({ length: 10 }, lane));
}

async function newServer(): Promise<TestServer> {
  const server = await startTestServer();
  cleanups.push(() => server.remove());
  return server;
}

/** A server whose restarts are cleaned up as well. */
function restarting(first: TestServer) {
  let server = first;
  cleanups.push(() => server.remove());
  return {
    async restart(): Promise<TestServer> {
      server = await server.restart();
      return server;
    },
  };
}

describe("a restart", () => {
  test("in the middle of delays, waits, backoffs, queues and leases loses none of them", async () => {
    let server = await startTestServer();
    const { restart } = restarting(server);
    await saveWorkflow(server, {
      name: "restarted",
      rootAction: ["d", "t", "w", "r", "q", "l", "x"],
      actions: [
        { id: "d", type: "system", name: "delay", delaySeconds: 0.3 },
        { id: "t", type: "system", name: "wait", event: "never", timeoutSeconds: 0.3 },
        { id: "w", type: "system", name: "wait", event: "go" },
        {
          id: "r",
          type: "user",
          name: "backoff",
          retry: { retryCount: 1, retryAfterSeconds: 0.3 },
        },
        { id: "q", type: "user", name: "queued" },
        { id: "l", type: "user", name: "leased" },
        {
          id: "x",
          type: "user",
          name: "expires",
          timeoutSeconds: 2,
          retry: { retryCount: 1, retryAfterSeconds: 0 },
        },
      ],
      output: { q: "$.q.output", l: "$.l.output", w: "$.w.output.payload", t: "$.t.output" },
    });
    const id = await startExecution(server, "restarted");
    const leased = await pollOne(server, "leased");
    await pollOne(server, "expires");
    await complete(server, failed(await pollOne(server, "backoff"), "AGAIN"));
    await call(server, "POST", `/v1/executions/${id}/pause`);
    server = await restart();
    const path = `/v1/executions/${id}`;
    expect((await call(server, "GET", path)).body.status).toBe("PAUSED");
    await call(server, "POST", `${path}/signal`, { event: "go", payload: "kept" });
    expect(await complete(server, done(leased, "held over"))).toEqual(["ACCEPTED"]);
    expect(await poll(server, { actions: ["queued"], waitSeconds: 0 })).toEqual([]);
    await call(server, "POST", `${path}/resume`);
    const rest = await Promise.all(
      ["queued", "backoff", "expires"].map((action) => pollOne(server, action)),
    );
    expect(rest.map(({ attempt }) => attempt)).toEqual([1, 2, 2]);
    await complete(server, ...rest.map((task) => done(task, task.action)));
    const body = await untilEnded(server, id);
    expect([body.status, body.result]).toEqual([
      "COMPLETED",
      { q: "queued", l: "held over", w: "kept", t: { timedOut: true } },
    ]);
  });

  test("after which a backoff and the time of all attempts are over ends the action once", async () => {
    let server = await startTestServer();
    const { restart } = restarting(server);
    await saveWorkflow(server, {
      name: "overdue",
      rootAction: ["first", "a"],
      actions: [
        // Due before the others, so that these are decided together.
        { id: "first", type: "system", name: "delay", delaySeconds: 2 },
        {
          id: "a",
          type: "user",
          name: "overdue",
          totalTimeoutSeconds: 3,
          retry: { retryCount: 3, retryAfterSeconds: 2.5, jitter: 0 },
          onError: { TOTAL_TIMEOUT: "b" },
        },
        { id: "b", type: "system", name: "delay", delaySeconds: 0.3 },
      ],
    });
    const id = await startExecution(server, "overdue");
    await complete(server, failed(await pollOne(server, "overdue"), "AGAIN"));
    await server.stop();
    await Bun.sleep(3_500);
    server = await restart();
    expect(await poll(server, { actions: ["overdue"], waitSeconds: 0.2 })).toEqual([]);
    const body = await untilEnded(server, id);
    const statuses = body.actions.map(({ status }: { status: string }) => status);
    const completed = "COMPLETED";
    expect([body.status, ...statuses]).toEqual([completed, completed, "TIMED_OUT", completed]);
  });
});

/** Polls over HTTP/2, many on one connection, as workers in other languages do. */
function openPolls(server: TestServer, count: number, action: string) {
  const session = connect(server.url);
  session.on("error", () => {});
  const answers = Array.from({ length: count }, () => {
    const { promise, resolve } = Promise.withResolvers<Task[] | undefined>();
    const stream = session.request({
      ":method": "POST",
      ":path": "/orchy.v1.WorkerService/Poll",
      "content-type": "application/json",
    });
    let text = "";
    stream.setEncoding("utf8");
    stream.on("data", (chunk: string) => {
      text += chunk;
    });
    stream.on("end", () => resolve(text === "" ? undefined : (JSON.parse(text).tasks ?? [])));
    stream.on("error", () => resolve(undefined));
    stream.on("close", () => resolve(undefined));
    stream.end(JSON.stringify({ actions: [action], maxTasks: 1, waitSeconds: 20 }));
    return promise;
  });
  return { session, answers };
}

test("1,000 pollers that reconnect at once are all served, and nothing is lost", async () => {
  const server = await newServer();
  await saveWorkflow(server, single("crowd"));
  const connections = 8;
  const open = () =>
    Array.from({ length: connections }, () => openPolls(server, 1_000 / connections, "crowd"));
  const before = open();
  // Each connection has one answer: its polls have arrived.
  await Promise.all(before.map(({ session }) => new Promise((resolve) => session.ping(resolve))));
  for (const { session } of before) session.destroy();
  const after = open();
  const ids = new Set(
    await Promise.all(Array.from({ length: 1_000 }, () => startExecution(server, "crowd"))),
  );
  const tasks = (await Promise.all(after.flatMap(({ answers }) => answers))).flat();
  expect(tasks).toHaveLength(1_000);
  for (const task of tasks) {
    expect([task!.attempt, ids.delete(task!.executionId)]).toEqual([1, true]);
  }
  const answers = await complete(server, ...tasks.map((task) => done(task!)));
  expect(new Set(answers)).toEqual(new Set(["ACCEPTED"]));
  for (const { session } of after) session.close();
}, 120_000);

test("10,000 timers due in the same second all fire, while others go on being served", async () => {
  const server = await newServer();
  const delays = Array.from({ length: 10 }, (_, index) => ({
    id: `d${index}`,
    type: "system",
    name: "delay",
    until: "$.input.at",
  }));
  await saveWorkflow(server, {
    name: "burst",
    rootAction: delays.map(({ id }) => id),
    actions: delays,
  });
  await saveWorkflow(server, {
    name: "other",
    rootAction: "t",
    actions: [{ id: "t", type: "system", name: "transform" }],
  });
  const at = Date.now() + 6_000;
  let served = 0;
  let slowestMs = 0;
  let over = false;
  const others = (async () => {
    await Bun.sleep(at - Date.now());
    for (; !over; served++) {
      const started = performance.now();
      const path = "/v1/executions?wait=60";
      expect((await call(server, "POST", path, { workflow: "other" })).status).toBe(200);
      slowestMs = Math.max(slowestMs, performance.now() - started);
    }
  })();
  const input = { at: new Date(at).toISOString() };
  const ids = await Promise.all(
    Array.from({ length: 1_000 }, () => startExecution(server, "burst", input)),
  );
  let latestMs = 0;
  await inLanes(ids, async (id) => {
    const { status, endedAt } = await untilEnded(server, id);
    expect(status).toBe("COMPLETED");
    latestMs = Math.max(latestMs, Date.parse(endedAt) - at);
  });
  over = true;
  await others;
  console.log(
    `10,000 timers: the last was ${latestMs} ms late; others waited ${slowestMs.toFixed(0)} ms at most`,
  );
  // Behind the timers there would be one or none.
  expect(served).toBeGreaterThan(10);
}, 120_000);

test("a store whose answers are lost now and then changes nothing but the time it takes", async () => {
  const server = await startUnsureServer(3);
  cleanups.push(() => server.stop());
  const step = (id: string, next?: string) => ({
    id,
    type: "user",
    name: "unsure",
    retry: { retryCount: 0 },
    ...(next !== undefined && { next: { default: next } }),
  });
  await saveWorkflow(server, {
    name: "unsure",
    rootAction: "a",
    actions: [
      step("a", "d"),
      { id: "d", type: "system", name: "delay", delaySeconds: 0.01, next: { default: "s" } },
      {
        id: "s",
        type: "system",
        name: "javascript",
        expression: "$.n = $.input.n * 2",
        next: { default: "b" },
      },
      step("b"),
    ],
    output: "$.s.output.n",
    onSuccess: { workflow: "unsure-end" },
  });
  await saveWorkflow(server, single("unsure-end", { name: "unsure", retry: { retryCount: 0 } }));
  const worker = createWorker(server);
  worker.action("unsure", { concurrency: 10 }, async () => null);
  await worker.start();
  const ns = Array.from({ length: 60 }, (_, n) => n);
  await inLanes(ns, async (n) => {
    const executionId = `unsure-${n}`;
    await startExecution(server, "unsure", { n }, { executionId });
    const body = await untilEnded(server, executionId);
    expect([body.status, body.result]).toEqual(["COMPLETED", 2 * n]);
    const attempts = body.actions.map((action: { attempts: object[] }) => action.attempts.length);
    expect(attempts).toEqual([1, 0, 0, 1]);
  });
  const ends = "/v1/executions?workflow=unsure-end&limit=100";
  const { items } = (await call(server, "GET", ends)).body;
  for (const { id } of items) expect((await untilEnded(server, id)).status).toBe("COMPLETED");
  expect(server.lost()).toBeGreaterThan(60);
  await worker.stop();
}, 120_000);

test("scripts that never end hold nothing else up", async () => {
  const server = await newServer();
  const scripted = (name: string, expression: string) => ({
    name,
    rootAction: "s",
    actions: [{ id: "s", type: "system", name: "javascript", expression }],
  });
  await saveWorkflow(server, scripted("endless", "for (;;) {}"));
  await saveWorkflow(server, single("beside"));
  const endless = await Promise.all(
    Array.from({ length: 6 }, () => startExecution(server, "endless")),
  );
  const beside: string[] = [];
  for (let times = 0; times < 20; times++) {
    const id = await startExecution(server, "beside");
    beside.push(id);
    await complete(server, done(await pollOne(server, "beside")));
    await untilEnded(server, id);
  }
  const endOf = async (id: string) => Date.parse((await untilEnded(server, id)).endedAt);
  for (const id of endless) {
    expect((await untilEnded(server, id)).error).toMatchObject({ code: "SCRIPT_LIMIT" });
  }
  // Two at a time, they take three seconds: were others behind them, none would end before.
  const lastMs = Math.max(...(await Promise.all(endless.map(endOf))));
  const ends = await Promise.all(beside.map(endOf));
  expect(ends.filter((ms) => ms < lastMs).length).toBeGreaterThan(3);
}, 120_000);

async function startServerProcess(store: string, http = 0) {
  const started = await startProcess(store, { http });
  cleanups.push(async () => {
    started.child.kill("SIGKILL");
    await started.child.exited;
  });
  return started;
}

test("SIGTERM under load: everything goes on after it, without a burnt attempt", async () => {
  const folder = mkdtempSync(join(tmpdir(), "orchy-term-"));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  const store = `sqlite:${folder}/o.db`;
  let { child, output, port } = await startServerProcess(store, freePort());
  const server = { url: `http://127.0.0.1:${port}` } as TestServer;
  const step = (id: string, next?: string) => ({
    id,
    type: "user",
    name: "term-step",
    parameters: { n: "$.input.n" },
    ...(next !== undefined && { next: { default: next } }),
  });
  await saveWorkflow(server, {
    name: "term",
    rootAction: "a",
    actions: [
      step("a", "d"),
      { id: "d", type: "system", name: "delay", delaySeconds: 0.05, next: { default: "s" } },
      {
        id: "s",
        type: "system",
        name: "javascript",
        expression: "$.n = $.input.n * 2",
        next: { default: "b" },
      },
      step("b", "c"),
      step("c"),
    ],
    output: "$.s.output.n",
  });
  const worker = createWorker(server);
  worker.action("term-step", { concurrency: 20 }, async (input) => {
    await Bun.sleep(5);
    return input;
  });
  await worker.start();

  const acknowledged = new Map<string, number>();
  let loading = true;
  const lane = async (from: number) => {
    for (let n = from; loading; ) {
      try {
        acknowledged.set(await startExecution(server, "term", { n }), n);
        n += 1;
      } catch {
        // The server is on its way down, or not up yet.
        await Bun.sleep(20);
      }
    }
  };
  const load = Promise.all([0, 1e6, 2e6, 3e6].map(lane));
  for (let restarts = 0; restarts < 2; restarts++) {
    const enough = acknowledged.size + 60;
    while (acknowledged.size < enough) await new Promise((resolve) => setImmediate(resolve));
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    expect(output.text).not.toContain('"level":"error"');
    ({ child, output, port } = await startServerProcess(store, port));
  }
  loading = false;
  await load;
  expect(acknowledged.size).toBeGreaterThan(120);
  await inLanes([...acknowledged], async ([id, n]) => {
    const body = await untilEnded(server, id);
    expect([body.status, body.result]).toEqual(["COMPLETED", 2 * n]);
    const attempts = body.actions.map((action: { attempts: object[] }) => action.attempts.length);
    expect(attempts).toEqual([1, 0, 0, 1, 1]);
  });
  await worker.stop();
}, 120_000);

test("an execution that is watched by many is told to all, and to none that has gone", async () => {
  const server = await newServer();
  await saveWorkflow(server, single("watched"));
  const id = await startExecution(server, "watched");
  const task = await pollOne(server, "watched");
  const gone = new AbortController();
  const watch = (signal?: AbortSignal) =>
    fetch(`${server.url}/v1/executions/${id}/events`, { ...(signal && { signal }) });
  const left = await Promise.all(Array.from({ length: 20 }, () => watch(gone.signal)));
  const stay = await Promise.all(Array.from({ length: 20 }, () => watch()));
  gone.abort();
  const ended = Array.from({ length: 20 }, () => untilEvent(server, id, isEnd));
  await complete(server, done(task, "seen"));
  await Promise.all(ended);
  for (const response of stay) expect(await response.text()).toContain("event: end");
  for (const response of left) await response.body?.cancel().catch(() => {});
  expect((await actionOf(server, id, "a")).status).toBe("COMPLETED");
});

const isEnd = ({ kind }: { kind: string }) => kind === "execution.completed";
