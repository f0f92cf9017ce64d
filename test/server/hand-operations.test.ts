/** Operations by hand on one action, over REST: in every status of the action and its execution. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import {
  type Answer,
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
  untilEvent,
} from "../support/orchy.ts";
import { type RedisServer, redisMissing, startRedis } from "../support/redis.ts";
import { actionOf, complete, done, failed, heartbeat, poll, pollOne } from "./calls.ts";
import { startUnsureServer } from "./unsure-store.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.remove());

type Operation = "skip" | "complete" | "fail" | "retry-now";
const bodies: Readonly<Record<Operation, object>> = {
  skip: { output: { by: "hand" } },
  complete: { output: { by: "hand" } },
  fail: { code: "BY_HAND", message: "given up", details: { n: 1 } },
  "retry-now": {},
};
const operations = Object.keys(bodies) as Operation[];

interface Place {
  readonly id: string;
  readonly action?: string;
  readonly at?: TestServer;
}

const onAction = ({ id, action = "a", at = server }: Place, operation: Operation, more = {}) =>
  call(at, "POST", `/v1/executions/${id}/actions/${action}/${operation}`, {
    ...bodies[operation],
    ...more,
  });

const operate = (id: string, operation: string, at = server) =>
  call(at, "POST", `/v1/executions/${id}/${operation}`, {});

const codeOf = ({ status, body }: Answer) => [status, body.error?.code];

const statusesOf = async (id: string): Promise<string[]> => {
  const { body } = await call(server, "GET", `/v1/executions/${id}`);
  return body.actions.map(({ status }: { status: string }) => status);
};

/** An action `a`, and one after each of its routes, which shows what came. */
const around = (name: string, action: object, next: object = { default: "after" }) => ({
  name,
  rootAction: "a",
  actions: [
    { id: "a", ...action, next, onError: { BY_HAND: "mended" } },
    ...["after", "mended"].map((id) => ({
      id,
      type: "system",
      name: "transform",
      parameters: { saw: "$.a.output" },
    })),
  ],
});

const user = (name: string) => ({ type: "user", name, retry: { retryAfterSeconds: 3600 } });
const wait = { type: "system", name: "wait", event: "go", timeoutSeconds: 3600 };
const instant = { type: "system", name: "transform" };

describe("an open action", () => {
  /** How an action comes to each status in which it is open. */
  const opened: Readonly<Record<string, object>> = {
    SCHEDULED: user("SCHEDULED"),
    RUNNING: user("RUNNING"),
    WAITING: wait,
    RETRYING: user("RETRYING"),
  };

  async function startedIn(status: string): Promise<string> {
    const id = await startExecution(server, status);
    if (status === "RUNNING" || status === "RETRYING") {
      const task = await pollOne(server, status);
      if (status === "RETRYING") await complete(server, failed(task, "AGAIN"));
    }
    expect((await actionOf(server, id, "a")).status).toBe(status);
    return id;
  }

  beforeAll(async () => {
    for (const [name, action] of Object.entries(opened)) {
      await saveWorkflow(server, around(name, action));
    }
  });

  const error = { code: "BY_HAND", message: "given up", details: { n: 1 } };
  test.each([
    ["skip", ["SKIPPED", "COMPLETED", "SKIPPED"], { by: "hand" }],
    ["complete", ["COMPLETED", "COMPLETED", "SKIPPED"], { by: "hand" }],
    ["fail", ["FAILED", "SKIPPED", "COMPLETED"], { error }],
  ] as const)("%s ends it, also while paused", async (operation, statuses, saw) => {
    for (const before of Object.keys(opened)) {
      for (const isPaused of [false, true]) {
        const id = await startedIn(before);
        if (isPaused) await operate(id, "pause");
        const answer = await onAction({ id }, operation, { reason: "it had to be" });
        expect(codeOf(answer)).toEqual([200, undefined]);
        if (isPaused) {
          const held = statuses.map((status, i) =>
            i > 0 && status === "COMPLETED" ? "PENDING" : status,
          );
          expect([answer.body.status, ...(await statusesOf(id))]).toEqual(["PAUSED", ...held]);
          await operate(id, "resume");
        }
        const body = await untilEnded(server, id);
        expect([body.status, body.result]).toEqual(["COMPLETED", { saw }]);
        expect(await statusesOf(id)).toEqual([...statuses]);
        expect(body.actions[0].skippedBy).toBe(operation === "skip" ? "hand" : undefined);
        const { items } = (await call(server, "GET", `/v1/executions/${id}/history`)).body;
        const kind = `operation.${operation}`;
        const entries = items.filter((entry: { kind: string }) => entry.kind === kind);
        expect(entries).toMatchObject([{ action: "a", details: { reason: "it had to be" } }]);
      }
    }
  });

  test("retry-now ends a backoff, also while paused, and nothing else", async () => {
    for (const before of Object.keys(opened)) {
      for (const isPaused of [false, true]) {
        const id = await startedIn(before);
        if (isPaused) await operate(id, "pause");
        const answer = await onAction({ id }, "retry-now");
        if (before !== "RETRYING") {
          expect(codeOf(answer)).toEqual([409, "INVALID_STATE"]);
          const status = isPaused ? "PAUSED" : "RUNNING";
          // Which tasks are leased, only the store knows.
          const actionStatus = before === "RUNNING" ? "SCHEDULED" : before;
          expect(answer.body.error).toMatchObject({ status, actionStatus });
          await operate(id, "cancel");
          continue;
        }
        expect(answer.status).toBe(200);
        if (isPaused) {
          expect(codeOf(await onAction({ id }, "retry-now"))).toEqual([200, undefined]);
          expect((await actionOf(server, id, "a")).status).toBe("RETRYING");
          await operate(id, "resume");
        }
        const task = await pollOne(server, before);
        expect([task.executionId, task.attempt]).toEqual([id, 2]);
        await complete(server, done(task));
        expect((await untilEnded(server, id)).status).toBe("COMPLETED");
      }
    }
  });

  test("its worker hears of it, and has no say any more", async () => {
    for (const operation of ["skip", "complete", "fail"] as const) {
      const id = await startExecution(server, "RUNNING");
      const task = await pollOne(server, "RUNNING");
      await onAction({ id }, operation);
      expect(await heartbeat(server, task.token)).toEqual(["CANCELLED"]);
      expect(await complete(server, done(task, "late"))).toEqual(["STALE"]);
      const queued = await startExecution(server, "SCHEDULED");
      await onAction({ id: queued }, operation);
      expect(await poll(server, { actions: ["SCHEDULED"], waitSeconds: 0 })).toEqual([]);
    }
  });

  test("a failure by hand is final, also for the execution where nothing handles it", async () => {
    await saveWorkflow(server, {
      name: "unhandled",
      rootAction: ["a", "b"],
      actions: [
        { id: "a", ...user("unhandled") },
        { id: "b", ...wait },
      ],
    });
    const id = await startExecution(server, "unhandled");
    expect((await onAction({ id }, "fail")).body.status).toBe("FAILED");
    const { body } = await call(server, "GET", `/v1/executions/${id}`);
    expect(body.error).toEqual({ ...error, action: "a" });
    expect(await statusesOf(id)).toEqual(["FAILED", "CANCELLED"]);
  });

  test("complete takes a route that there is, and refuses any other with those", async () => {
    const routes = { default: "after", go: "mended" };
    await saveWorkflow(server, around("routes", wait, routes));
    const id = await startExecution(server, "routes");
    const refused = await onAction({ id }, "complete", { route: "elsewhere" });
    expect(codeOf(refused)).toEqual([400, "INVALID_ARGUMENT"]);
    expect(refused.body.error.details).toEqual([
      {
        pointer: "/route",
        message: 'The action a has no route "elsewhere"; its routes are default, go.',
      },
    ]);
    expect((await onAction({ id }, "complete", { route: "go" })).status).toBe(200);
    await untilEnded(server, id);
    expect(await statusesOf(id)).toEqual(["COMPLETED", "SKIPPED", "COMPLETED"]);
  });

  test("a script that runs can be completed, a delay skipped", async () => {
    const expression = "while (true) {}";
    const script = { type: "system", name: "javascript", expression };
    const delay = { type: "system", name: "delay", delaySeconds: 3600 };
    await saveWorkflow(server, around("script", script));
    await saveWorkflow(server, around("delay", delay));
    for (const [workflow, operation] of [
      ["script", "complete"],
      ["delay", "skip"],
    ] as const) {
      const id = await startExecution(server, workflow);
      expect((await onAction({ id }, operation, { output: [1] })).status).toBe(200);
      expect((await untilEnded(server, id)).result).toEqual({ saw: [1] });
    }
  });
});

describe("what is not open", () => {
  test("is refused with its status, whatever the operation", async () => {
    await saveWorkflow(server, {
      name: "closed",
      rootAction: ["completed", "handled", "expired", "open"],
      actions: [
        { id: "completed", ...instant, onError: { default: "skipped" } },
        { id: "skipped", ...instant },
        { id: "handled", ...user("handled"), onError: { default: [] } },
        {
          id: "expired",
          ...user("expired"),
          queueTimeoutSeconds: 0.01,
          onError: { default: "late" },
        },
        { id: "late", ...instant },
        { id: "open", ...wait, next: { default: "pending" } },
        { id: "pending", ...instant },
      ],
    });
    const id = await startExecution(server, "closed");
    await complete(server, failed(await pollOne(server, "handled"), "NO", false));
    await untilEvent(
      server,
      id,
      ({ kind, action }) => kind === "action.completed" && action === "late",
    );
    const closed = {
      completed: "COMPLETED",
      skipped: "SKIPPED",
      handled: "FAILED",
      expired: "TIMED_OUT",
      pending: "PENDING",
    };
    for (const operation of operations) {
      for (const [action, actionStatus] of Object.entries(closed)) {
        const answer = await onAction({ id, action }, operation);
        expect(codeOf(answer)).toEqual([409, "INVALID_STATE"]);
        expect(answer.body.error).toMatchObject({ status: "RUNNING", actionStatus });
        expect(answer.body.error.message).toStartWith(`The action ${action} is ${actionStatus}; `);
      }
      expect(codeOf(await onAction({ id, action: "none" }, operation))).toEqual([404, "NOT_FOUND"]);
      expect(codeOf(await onAction({ id: "none" }, operation))).toEqual([404, "NOT_FOUND"]);
    }
  });

  test("an execution that has ended is refused with its status", async () => {
    const ends: Readonly<Record<string, (id: string) => Promise<unknown>>> = {
      COMPLETED: (id) => onAction({ id }, "complete"),
      FAILED: (id) => onAction({ id }, "fail", { code: "OTHER" }),
      CANCELLED: (id) => operate(id, "cancel"),
      TIMED_OUT: (id) => untilEnded(server, id),
    };
    for (const [status, end] of Object.entries(ends)) {
      const timeout = status === "TIMED_OUT" && { timeoutSeconds: 0.01 };
      await saveWorkflow(server, { ...around("ends", wait), ...timeout });
      const id = await startExecution(server, "ends");
      await end(id);
      for (const operation of operations) {
        const answer = await onAction({ id }, operation);
        expect(codeOf(answer)).toEqual([409, "INVALID_STATE"]);
        expect(answer.body.error.status).toBe(status);
      }
    }
  });

  test("bodies are checked", async () => {
    await saveWorkflow(server, around("checked", wait));
    const id = await startExecution(server, "checked");
    const path = `/v1/executions/${id}/actions/a`;
    const wrong: readonly (readonly [Operation, object, pointer: string])[] = [
      ["fail", {}, "/code"],
      ["fail", { code: "A", message: "" }, "/message"],
      ["skip", { outptu: 1 }, "/outptu"],
      ["complete", { route: 1 }, "/route"],
      ["retry-now", { reason: "" }, "/reason"],
    ];
    for (const [operation, body, pointer] of wrong) {
      const answer = await call(server, "POST", `${path}/${operation}`, body);
      expect(codeOf(answer)).toEqual([400, "INVALID_ARGUMENT"]);
      expect(answer.body.error.details[0].pointer).toBe(pointer);
    }
    const details = "x".repeat(70_000);
    const large = await onAction({ id }, "fail", { details });
    expect(codeOf(large)).toEqual([413, "TOO_LARGE"]);
  });
});

test("an operationId counts for one operation and body; numbers stay exact", async () => {
  await saveWorkflow(server, around("ids", wait));
  const id = await startExecution(server, "ids");
  const path = `/v1/executions/${id}/actions/a/complete`;
  const body = '{"output": 12345678901234567890, "operationId": "o"}';
  expect((await call(server, "POST", path, body)).status).toBe(200);
  const repeated = await call(server, "POST", path, body);
  expect([repeated.status, repeated.body.status]).toEqual([200, "COMPLETED"]);
  const respelt = '{ "operationId": "o", "output": 1234567890123456789.0e1 }';
  expect((await call(server, "POST", path, respelt)).status).toBe(200);
  const other = await onAction({ id }, "complete", { operationId: "o", output: 1 });
  expect(codeOf(other)).toEqual([409, "CONFLICT"]);
  const elsewhere = await onAction({ id }, "skip", { operationId: "o" });
  expect(codeOf(elsewhere)).toEqual([409, "INVALID_STATE"]);
  const response = await fetch(`${server.url}/v1/executions/${id}/result`);
  expect(await response.text()).toContain('{"saw":12345678901234567890}');
});

test("beside a server of an earlier version they are refused, and change nothing", async () => {
  let format = 3;
  const store = Object.assign(new MemoryStore({ partitions: 1 }), { format: () => format });
  const at = await startTestServer({ parts: { store } });
  try {
    await saveWorkflow(at, around("early", wait));
    const id = await startExecution(at, "early");
    for (const operation of operations) {
      const answer = await onAction({ id, at }, operation);
      expect(codeOf(answer)).toEqual([503, "UNAVAILABLE"]);
      expect(answer.body.error.message).toContain("Servers of an earlier version");
    }
    expect((await actionOf(at, id, "a")).status).toBe("WAITING");
    format = 4;
    expect((await onAction({ id, at }, "skip")).body.status).toBe("COMPLETED");
  } finally {
    await at.remove();
  }
});

test("an operation whose commit lost its answer is done once", async () => {
  const unsure = await startUnsureServer(2);
  try {
    await saveWorkflow(unsure, around("unsure", wait));
    for (let round = 0; round < 6; round++) {
      const id = await startExecution(unsure, "unsure");
      const body = { operationId: "o" };
      let answer = await onAction({ id, at: unsure }, "complete", body);
      while (answer.status === 503) answer = await onAction({ id, at: unsure }, "complete", body);
      expect(answer.status).toBe(200);
      await untilEnded(unsure, id);
      const { items } = (await call(unsure, "GET", `/v1/executions/${id}/history`)).body;
      const applied = items.filter(
        (entry: { kind: string }) => entry.kind === "operation.complete",
      );
      expect(applied).toHaveLength(1);
    }
    expect(unsure.lost()).toBeGreaterThan(0);
  } finally {
    await unsure.remove();
  }
});

describe.skipIf(redisMissing !== undefined)("beside another server", () => {
  let redis: RedisServer;
  let pair: readonly [TestServer, TestServer];
  beforeAll(async () => {
    redis = await startRedis();
    const store = `redis://127.0.0.1:${redis.port}`;
    pair = [await startTestServer({ store }), await startTestServer({ store })];
  }, 120_000);
  afterAll(async () => {
    for (const one of pair ?? []) await one.remove();
    await redis?.stop();
  });

  test("of an operation, a result and the same operation elsewhere, one counts", async () => {
    const [one, other] = pair;
    await saveWorkflow(one, around("raced", user("raced")));
    for (let round = 0; round < 20; round++) {
      const id = await startExecution(one, "raced");
      const task = await pollOne(other, "raced");
      const [byHand, result, again] = await Promise.all([
        onAction({ id, at: one }, "complete", { output: "hand" }),
        complete(other, done(task, "worker")),
        onAction({ id, at: other }, "skip", { output: "skipped" }),
      ]);
      const counted = [
        ...(byHand.status === 200 ? ["hand"] : []),
        ...(result[0] === "ACCEPTED" ? ["worker"] : []),
        ...(again.status === 200 ? ["skipped"] : []),
      ];
      expect(counted).toHaveLength(1);
      expect((await untilEnded(one, id)).result).toEqual({ saw: counted[0] });
    }
  });

  test("of an operation and a due timer, one counts", async () => {
    const [one, other] = pair;
    const short = { ...wait, timeoutSeconds: 0.02 };
    await saveWorkflow(one, around("due", short));
    for (let round = 0; round < 20; round++) {
      const id = await startExecution(one, "due");
      await Bun.sleep(round);
      const { status } = await onAction({ id, at: other }, "complete", { output: "hand" });
      const saw = status === 200 ? "hand" : { timedOut: true };
      expect((await untilEnded(one, id)).result).toEqual({ saw });
    }
  });
});
