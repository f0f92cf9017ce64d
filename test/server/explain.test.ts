/** Explanations of executions and queues: each kind at a real server, and that what it says is true. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "valibot";
import {
  executionExplanationSchema,
  queueExplanationSchema,
} from "../../src/api/rest/explanation-schemas.ts";
import { actionStatsSchema } from "../../src/api/rest/response-schemas.ts";
import { type Clock, systemClock, systemIds } from "../../src/base/clock.ts";
import { createRuntime, type Runtime } from "../../src/runtime/runtime.ts";
import { reasonKinds } from "../../src/runtime/shared/explanation.ts";
import type { Sandbox } from "../../src/sandbox/sandbox.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { openRecordsStore } from "../../src/store/records/records-store.ts";
import type { Store } from "../../src/store/store.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { Metrics } from "../../src/telemetry/metrics.ts";
import { MemoryBrokers } from "../support/memory-brokers.ts";
import { MemoryRecordsDriver } from "../support/memory-records.ts";
import { noSandbox } from "../support/no-sandbox.ts";
import {
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";
import { done, failed, poll, pollOne, single, untilPolled } from "./calls.ts";
import { hooked } from "./unsure-store.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer({ parts: { brokers: new MemoryBrokers() } });
});

afterAll(() => server.remove());

interface Reason {
  readonly kind: (typeof reasonKinds)[number];
  readonly sentence: string;
  readonly action?: number | string;
  readonly since: string;
  readonly until: string;
  readonly queue: object;
  readonly child: string;
}

const seen = new Set<string>();

async function reasonsOf(id: string): Promise<Reason[]> {
  const { status, body } = await call(server, "GET", `/v1/executions/${id}/explain`);
  expect(status).toBe(200);
  for (const { kind, sentence } of body.reasons) {
    seen.add(kind);
    expect(sentence).toMatch(/^[A-Z].*\.$/);
  }
  return body.reasons;
}

/** The only reason. */
async function reasonOf(id: string): Promise<Reason> {
  const reasons = await reasonsOf(id);
  expect(reasons).toHaveLength(1);
  return reasons[0]!;
}

/** Asks again until it is of this kind, as a commit may be under way. */
async function untilReason(id: string, kind: string): Promise<Reason> {
  for (;;) {
    const found = (await reasonsOf(id)).find((reason) => reason.kind === kind);
    if (found !== undefined) return found;
    await Bun.sleep(5);
  }
}

async function start(definition: { name: string }): Promise<string> {
  await saveWorkflow(server, definition);
  return startExecution(server, definition.name);
}

describe("an execution", () => {
  test("tells a queue without workers from one whose workers are busy", async () => {
    const id = await start(single("queues"));
    const alone = await reasonOf(id);
    expect(alone).toMatchObject({
      kind: "no-workers",
      action: "a",
      attempt: 1,
      queue: { queue: "default", action: "queues", queued: 1, running: 0, workers: {} },
    });
    expect(alone.sentence).toContain("no worker polls for it. Start a worker for queues.");

    // What it says: a worker comes, takes the task, and has no room for the next one.
    const task = await pollOne(server, "queues", { workerId: "one" });
    const running = await reasonOf(id);
    expect(running).toMatchObject({ kind: "running", action: "a", worker: "one", attempt: 1 });
    expect(Date.parse(running.until)).toBeGreaterThan(Date.parse(running.since));
    const second = await startExecution(server, "queues");
    const busy = await untilReason(second, "workers-busy");
    expect(busy.queue).toMatchObject({
      queued: 1,
      running: 1,
      workers: { waiting: 0, busy: 1 },
    });
    expect(busy.sentence).toContain("its 1 worker has no room");

    const results = [done(task)];
    const [next] = await poll(server, { actions: ["queues"], workerId: "one", results });
    expect(next!.executionId).toBe(second);
    await untilEnded(server, id);
    expect(await reasonOf(id)).toMatchObject({ kind: "ended" });
  });

  test("is with a worker whose poll waits, as soon as it is given its task", async () => {
    // The poll of a worker that waits for one action only gets the task of another from no queue.
    const waiting = poll(server, { actions: ["elsewhere"], workerId: "waiter" });
    await untilPolled(server, "elsewhere");
    await saveWorkflow(server, single("elsewhere"));
    const id = await startExecution(server, "elsewhere");
    const [task] = await waiting;
    expect(task!.executionId).toBe(id);
    expect(await reasonOf(id)).toMatchObject({ kind: "running", worker: "waiter" });
  });

  test("with parameters for JSON waits for a worker that takes JSON", async () => {
    const name = "deep";
    await saveWorkflow(server, single(name, { parameters: "$.input" }));
    const deep = JSON.parse(`${'{"a":'.repeat(60)}1${"}".repeat(60)}`);
    const id = await startExecution(server, name, deep);
    expect(await reasonOf(id)).toMatchObject({
      kind: "no-json-workers",
      queue: { action: name, waitingFor: "json", queued: 1 },
    });
  });

  test("that is paused waits for the resume, and its tasks with it", async () => {
    const id = await start(single("paused"));
    await call(server, "POST", `/v1/executions/${id}/pause`);
    const [first, second] = await reasonsOf(id);
    expect(first).toMatchObject({ kind: "paused" });
    expect(first!.sentence).toContain(`POST /v1/executions/${id}/resume`);
    expect(second).toMatchObject({ kind: "held", action: "a" });
    const { body } = await call(server, "GET", "/v1/queues/default/explain");
    const item = body.actions.find(({ action }: { action: string }) => action === "paused");
    expect(item).toMatchObject({ kind: "held", queued: 1, running: 0 });
    await call(server, "POST", `/v1/executions/${id}/resume`);
    expect(await reasonOf(id)).toMatchObject({ kind: "no-workers" });
  });

  test("waits for a backoff, a delay, a signal and other actions", async () => {
    const id = await start({
      name: "waits",
      rootAction: ["fails", "later", "event"],
      actions: [
        {
          id: "fails",
          type: "user",
          name: "fails",
          retry: { retryAfterSeconds: 3_000 },
          next: { default: "final" },
        },
        {
          id: "later",
          type: "system",
          name: "delay",
          delaySeconds: 3_000,
          next: { default: "final" },
        },
        {
          id: "event",
          type: "system",
          name: "wait",
          event: ["paid", "lost"],
          timeoutSeconds: 3_000,
          next: { default: "final" },
        },
        { id: "final", type: "system", name: "transform", parameters: null },
      ],
    } as never);
    const task = await pollOne(server, "fails");
    await poll(server, { actions: ["none"], waitSeconds: 0, results: [failed(task, "BROKEN")] });
    const backoff = await untilReason(id, "backoff");
    expect(backoff).toMatchObject({ action: "fails", attempt: 1, error: { code: "BROKEN" } });
    expect(backoff.sentence).toContain("failed with BROKEN. The next one starts at 2");
    expect(await untilReason(id, "delay")).toMatchObject({ action: "later" });
    const signal = await untilReason(id, "signal");
    expect(signal).toMatchObject({ action: "event", events: ["paid", "lost"] });
    expect(signal.sentence).toContain("for the event paid or lost");
    await call(server, "POST", `/v1/executions/${id}/signal`, { event: "paid" });
    const join = await untilReason(id, "join");
    expect(join).toMatchObject({ action: "final", waitsFor: ["fails", "later"] });
    await call(server, "POST", `/v1/executions/${id}/cancel`);
  });

  test("waits for the items of a map, and for their workers", async () => {
    const map = { id: "m", type: "system", name: "map", items: "$.input", action: "item" };
    await saveWorkflow(server, { name: "maps", rootAction: "m", actions: [map] });
    const id = await startExecution(server, "maps", [{}, {}, {}]);
    const reason = await untilReason(id, "items");
    expect(reason).toMatchObject({
      action: "m",
      items: { count: 3, open: 3, completed: 0, failed: 0 },
      queue: { action: "item", queued: 3, workers: { waiting: 0, busy: 0 } },
    });
    expect(reason.sentence).toContain("no worker polls for it. Start a worker for item.");
    await call(server, "POST", `/v1/executions/${id}/cancel`);
  });

  test("waits for its child", async () => {
    await saveWorkflow(server, single("child"));
    const parent = { id: "p", type: "system", name: "workflow", workflow: "child" };
    const id = await start({ name: "parent", rootAction: "p", actions: [parent] } as never);
    const reason = await untilReason(id, "child");
    expect(reason.sentence).toContain(`GET /v1/executions/${reason.child}/explain`);
    // Its start is a message, which may be under way.
    const path = `/v1/executions/${reason.child}`;
    while ((await call(server, "GET", path)).status === 404) await Bun.sleep(5);
    expect(await untilReason(reason.child, "no-workers")).toMatchObject({ action: "a" });
    await call(server, "POST", `/v1/executions/${id}/cancel`);
  });

  test("has no explanation when there is none of its id", async () => {
    const { status, body } = await call(server, "GET", "/v1/executions/none/explain");
    expect([status, body.error.code]).toEqual([404, "NOT_FOUND"]);
  });
});

describe("a runtime", () => {
  const open: Runtime[] = [];

  async function openRuntime(options: {
    store?: Store;
    sandbox?: Sandbox;
    clock?: Clock;
  }): Promise<Runtime> {
    const runtime = createRuntime({
      store: new MemoryStore({ partitions: 2 }),
      sandbox: noSandbox,
      clock: systemClock,
      ids: systemIds,
      log: createLogger({ level: "silent", clock: systemClock, write() {} }),
      metrics: new Metrics(),
      namespace: "test",
      ...options,
    });
    open.push(runtime);
    const about = { grpcAddress: "one", httpAddress: "one", startedAt: 0, version: "0" };
    await runtime.open({ id: "one", name: "one", ...about });
    return runtime;
  }

  afterAll(() => Promise.all(open.map((runtime) => runtime.close())));

  async function untilKind(runtime: Runtime, id: string, kind: string): Promise<void> {
    for (;;) {
      const { reasons } = await runtime.explainExecution(id);
      if (reasons.some((reason) => reason.kind === kind && reason.sentence !== "")) break;
      await Bun.sleep(5);
    }
    seen.add(kind);
  }

  test("names a script that runs, and one that waits for its turn", async () => {
    let finish: (() => void) | undefined;
    const ran = { ok: true, output: "1" } as const;
    const sandbox: Sandbox = {
      ...noSandbox,
      room: () => (finish === undefined ? 1 : 0),
      evaluate: () => new Promise((resolve) => (finish = () => resolve(ran))),
    };
    const runtime = await openRuntime({ sandbox });
    const script = { id: "j", type: "system", name: "javascript", expression: "1" };
    const definition = { name: "script", rootAction: "j", actions: [script] };
    await runtime.saveWorkflow(definition, { lenient: false });
    const [first, second] = [
      await runtime.start({ workflow: "script", input: "{}" }),
      await runtime.start({ workflow: "script", input: "{}" }),
    ];
    await untilKind(runtime, first.id, "script");
    await untilKind(runtime, second.id, "script-turn");
    finish!();
    await untilKind(runtime, first.id, "ended");
    await runtime.operate({ id: second.id, operation: "cancel" });
  });

  test("says so when a task changes hands while it is explained", async () => {
    const store = hooked(new MemoryStore({ partitions: 2 }), {
      holdings: async () => ({ tasks: [], timers: [] }) as never,
    });
    const runtime = await openRuntime({ store });
    await runtime.saveWorkflow(single("hands"), { lenient: false });
    const { id } = await runtime.start({ workflow: "hands", input: "{}" });
    await untilKind(runtime, id, "continuing");
  });

  test("names a signal that is not delivered yet", async () => {
    const store = hooked(new MemoryStore({ partitions: 2 }), {
      claimOutbox: async () => ({ messages: [] }),
    });
    const runtime = await openRuntime({ store });
    const send = { id: "s", type: "system", name: "signal", executionId: "x", event: "e" };
    const definition = { name: "sends", rootAction: "s", actions: [send] };
    await runtime.saveWorkflow(definition, { lenient: false });
    const { id } = await runtime.start({ workflow: "sends", input: "{}" });
    await untilKind(runtime, id, "sending");
  });

  test("names the broker whose consumers do a task", async () => {
    await call(server, "PUT", "/v1/actions/delivered", { deliver: { to: "sqs:delivered" } });
    const id = await start(single("delivered"));
    const { sentence, queue } = await untilReason(id, "consumers");
    expect(queue).toMatchObject({ deliveredTo: "sqs:delivered", queued: 1 });
    expect(sentence).toContain("waits for consumers of sqs:delivered");
  });

  test("counts a worker that has only just polled", async () => {
    const now = Date.now();
    const runtime = await openRuntime({ clock: { ...systemClock, now: () => now } });
    await runtime.saveWorkflow(single("between"), { lenient: false });
    const asked = { actions: ["between"], queues: ["default"], maxTasks: 1, waitMs: 0 };
    await runtime.poll({ ...asked, workerId: "w", heartbeats: true, results: [] });
    const { id } = await runtime.start({ workflow: "between", input: "{}" });
    await untilKind(runtime, id, "queued");
    const { reasons } = await runtime.explainExecution(id);
    expect(reasons).toMatchObject([{ queue: { queued: 1, workers: { waiting: 1, busy: 0 } } }]);
  });

  test("leaves out how many tasks are running where the store does not count them", async () => {
    const driver = new MemoryRecordsDriver({ partitions: 2 });
    const store = openRecordsStore(driver, { nonce: "n", clock: systemClock });
    const uncounting = await startTestServer({ store: "memory:", parts: { store } });
    try {
      await call(uncounting, "PUT", "/v1/actions/some", {});
      await saveWorkflow(uncounting, single("some"));
      await startExecution(uncounting, "some");
      await pollOne(uncounting, "some", { workerId: "one" });
      const action = () => call(uncounting, "GET", "/v1/actions/some");
      const { body: none } = await action();
      expect(parse(actionStatsSchema, none)).toMatchObject({ queued: 0, queues: [] });
      expect(none).not.toHaveProperty("running");
      const id = await startExecution(uncounting, "some");
      const { body: explained } = await call(uncounting, "GET", `/v1/executions/${id}/explain`);
      const [reason] = parse(executionExplanationSchema, explained).reasons;
      expect(reason).toMatchObject({ kind: "workers-busy", queue: { queued: 1 } });
      expect(reason!.queue).not.toHaveProperty("running");
      expect(reason!.sentence).toContain("its 1 worker has no room. ");
      const { body: one } = await action();
      expect(one.queues).toMatchObject([{ queued: 1, workers: { waiting: 0, busy: 1 } }]);
      for (const counts of [one, one.queues[0]]) expect(counts).not.toHaveProperty("running");
    } finally {
      await uncounting.remove();
    }
  });

  test("says at least where the store counts no further", async () => {
    const store = hooked(new MemoryStore({ partitions: 2 }), {
      queueStats: async (read, _count, request) =>
        (await read(request)).map((stats) => ({ ...stats, queued: 1_000, atLeast: true as const })),
    });
    const counting = await startTestServer({ store: "memory:", parts: { store } });
    try {
      await saveWorkflow(counting, single("many"));
      const id = await startExecution(counting, "many");
      const { body: explained } = await call(counting, "GET", `/v1/executions/${id}/explain`);
      const [reason] = parse(executionExplanationSchema, explained).reasons;
      expect(reason!.queue).toMatchObject({ queued: 1_000, atLeast: true });
      expect(reason!.sentence).toContain("At least 1000 tasks of many in the queue default wait,");
      const { body: queue } = await call(counting, "GET", "/v1/queues/default/explain");
      expect(parse(queueExplanationSchema, queue).actions[0]).toMatchObject({ atLeast: true });
      const { body: action } = await call(counting, "GET", "/v1/actions/many");
      const queues = [{ queued: 1_000, atLeast: true }];
      expect(parse(actionStatsSchema, action)).toMatchObject({ atLeast: true, queues });
    } finally {
      await counting.remove();
    }
  });

  test("every kind was seen above, and is documented", () => {
    expect([...seen].sort()).toEqual([...reasonKinds].sort());
    const document = readFileSync(join(import.meta.dirname, "../../docs/http-api.md"), "utf8");
    for (const kind of reasonKinds) expect(document).toContain(`| \`${kind}\``);
  });
});
