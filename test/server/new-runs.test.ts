/** retry and rerun, over REST: in every status, beside another server, and after lost answers. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import {
  type Answer,
  call,
  type Reachable,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";
import { type RedisServer, redisMissing, startRedis } from "../support/redis.ts";
import { complete, done, failed, heartbeat, pollOne, single } from "./calls.ts";
import { startUnsureServer } from "./unsure-store.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.remove());

const operate = (id: string, operation: string, body: object = {}, at: Reachable = server) =>
  call(at, "POST", `/v1/executions/${id}/${operation}`, body);

const codeOf = ({ status, body }: Answer) => [status, body.error?.code, body.error?.status];

async function fail(action: string, at: Reachable = server): Promise<{ token: string }> {
  const task = await pollOne(at, action);
  expect(await complete(at, failed(task, "NO", false))).toEqual(["ACCEPTED"]);
  return task;
}

async function finish(action: string, at: Reachable = server): Promise<void> {
  expect(await complete(at, done(await pollOne(at, action), "good"))).toEqual(["ACCEPTED"]);
}

/** How executions come to each status. */
const reached: Readonly<Record<string, (id: string) => Promise<unknown>>> = {
  RUNNING: async () => {},
  PAUSED: (id) => operate(id, "pause"),
  COMPLETED: () => finish("a"),
  FAILED: () => fail("a"),
  CANCELLED: (id) => operate(id, "cancel", { reason: "no need" }),
  TIMED_OUT: (id) => untilEnded(server, id),
};

describe("retry", () => {
  test.each(Object.keys(reached))("of an execution that is %s", async (status) => {
    const timeout = status === "TIMED_OUT" && { timeoutSeconds: 0.01 };
    await saveWorkflow(server, { ...single("a"), name: status, ...timeout });
    const id = await startExecution(server, status);
    await reached[status]!(id);
    const answer = await operate(id, "retry", { reason: "once more" });
    if (["RUNNING", "PAUSED", "COMPLETED"].includes(status)) {
      expect(codeOf(answer)).toEqual([409, "INVALID_STATE", status]);
      await operate(id, "cancel");
      return;
    }
    expect([answer.status, answer.body.error]).toEqual([200, undefined]);
    const { items } = (await call(server, "GET", `/v1/executions/${id}/history`)).body;
    const details = { run: 2, reason: "once more" };
    expect(items).toContainEqual(expect.objectContaining({ kind: "execution.retried", details }));
    if (status === "TIMED_OUT") {
      expect((await untilEnded(server, id)).run).toBe(2);
      return;
    }
    const running = (await call(server, "GET", `/v1/executions/${id}`)).body;
    expect(running).toMatchObject({ status: "RUNNING", run: 2 });
    for (const gone of ["endedAt", "error", "cancelReason"]) expect(running[gone]).toBeUndefined();
    const listed = await call(server, "GET", `/v1/executions?workflow=${status}&status=RUNNING`);
    expect(listed.body.items).toMatchObject([{ id }]);
    expect(listed.body.items[0].endedAt).toBeUndefined();
    await finish("a");
    expect((await untilEnded(server, id)).result).toBe("good");
  });

  test("the older run's workers have no say, and each failure has one follow-up", async () => {
    await saveWorkflow(server, {
      name: "followed",
      rootAction: ["a", "b"],
      actions: [
        { id: "a", type: "user", name: "followed-a" },
        { id: "b", type: "user", name: "followed-b" },
      ],
      onFailure: { workflow: "follower" },
    });
    const transform = { id: 1, type: "system", name: "transform" };
    await saveWorkflow(server, { name: "follower", rootAction: 1, actions: [transform] });
    const followers = async () =>
      (await call(server, "GET", "/v1/executions?workflow=follower")).body.items.length;
    const id = await startExecution(server, "followed");
    const old = await pollOne(server, "followed-b");
    for (const run of [1, 2]) {
      await fail("followed-a");
      while ((await followers()) < run) await new Promise((resolve) => setImmediate(resolve));
      expect((await operate(id, "retry")).body.status).toBe("RUNNING");
    }
    expect(await heartbeat(server, old.token)).toEqual(["CANCELLED"]);
    expect(await complete(server, done(old))).toEqual(["STALE"]);
    await finish("followed-a");
    await finish("followed-b");
    expect((await untilEnded(server, id)).status).toBe("COMPLETED");
    expect(await followers()).toBe(2);
  });

  test("of a loop repeats the round that failed, after those that have ended", async () => {
    const parameters = { last: "$.input.last", iteration: "$.input.iteration" };
    await saveWorkflow(server, single("round", { parameters }));
    const loop = { id: "l", type: "system", name: "loop", workflow: "round", maxIterations: 9 };
    const actions = [{ ...loop, while: "$.iteration < 2" }];
    await saveWorkflow(server, { name: "looped", rootAction: "l", actions });
    const id = await startExecution(server, "looped");
    await finish("round");
    await fail("round");
    expect((await untilEnded(server, id)).status).toBe("FAILED");
    await operate(id, "retry");
    const task = await pollOne(server, "round");
    expect(task.parameters).toEqual({ last: "good", iteration: 1 });
    await complete(server, done(task, "better"));
    const end = await untilEnded(server, id);
    expect([end.run, end.result]).toEqual([2, { iterations: 2, last: "better" }]);
  });

  test("an operationId makes its repeat harmless, also after lost answers", async () => {
    const unsure = await startUnsureServer(2);
    try {
      await saveWorkflow(unsure, single("unsure"));
      for (let round = 0; round < 4; round++) {
        const id = await startExecution(unsure, "unsure");
        while ((await operate(id, "cancel", { operationId: "c" }, unsure)).status === 503);
        const retry = () => operate(id, "retry", { operationId: "r" }, unsure);
        while ((await retry()).status === 503);
        expect((await retry()).body.status).toBe("RUNNING");
        expect((await call(unsure, "GET", `/v1/executions/${id}`)).body.run).toBe(2);
        while ((await operate(id, "cancel", { operationId: "d" }, unsure)).status === 503);
        expect((await retry()).body.status).toBe("CANCELLED");
      }
      expect(unsure.lost()).toBeGreaterThan(0);
    } finally {
      await unsure.remove();
    }
  });
});

describe("retry of a child", () => {
  const runs = (name: string, workflow: string) => ({
    name,
    rootAction: ["c", "open"],
    actions: [
      { id: "c", type: "system", name: "workflow", workflow, next: { default: "end" } },
      { id: "open", type: "system", name: "wait", event: "go" },
      { id: "end", type: "system", name: "transform", parameters: { got: "$.c.output" } },
    ],
  });
  const statusOf = async (id: string) => (await call(server, "GET", `/v1/executions/${id}`)).body;
  const until = async (id: string, status: string) => {
    for (;;) {
      const body = await statusOf(id);
      if (body.status === status) return body;
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const childOf = async (id: string): Promise<string> => {
    for (;;) {
      const { actions } = await statusOf(id);
      // A child that was asked for may not be there yet.
      if (actions?.[0].child !== undefined) return actions[0].child;
      await new Promise((resolve) => setImmediate(resolve));
    }
  };

  beforeAll(async () => {
    await saveWorkflow(server, single("leaf"));
    await saveWorkflow(server, runs("middle", "leaf"));
    await saveWorkflow(server, runs("top", "middle"));
  });

  test("its FAILED ancestors wait for it again, and it goes on to their end", async () => {
    const top = await startExecution(server, "top");
    const middle = await childOf(top);
    const leaf = await childOf(middle);
    await fail("leaf");
    const { actions } = await until(top, "FAILED");
    expect(actions[1].status).toBe("CANCELLED");
    expect((await operate(leaf, "retry")).body.status).toBe("RUNNING");
    for (const id of [middle, top]) {
      const body = await until(id, "RUNNING");
      const statuses = body.actions.map(({ status }: { status: string }) => status);
      expect([body.run, ...statuses]).toEqual([2, "WAITING", "WAITING", "PENDING"]);
    }
    expect([await childOf(top), await childOf(middle)]).toEqual([middle, leaf]);
    await finish("leaf");
    for (const id of [middle, top]) {
      await call(server, "POST", `/v1/executions/${id}/signal`, { event: "go" });
    }
    const end = await untilEnded(server, top);
    expect([end.status, end.actions[2].output]).toEqual([
      "COMPLETED",
      {
        got: { open: { event: "go", payload: null }, end: { got: "good" } },
      },
    ]);
  });

  test("a parent that has started another child since is left alone", async () => {
    const middle = await startExecution(server, "middle");
    const leaf = await childOf(middle);
    await fail("leaf");
    await until(middle, "FAILED");
    await operate(middle, "retry");
    const other = await childOf(middle);
    expect(other).not.toBe(leaf);
    expect((await operate(leaf, "retry")).body.status).toBe("RUNNING");
    for (let tasks = 0; tasks < 2; tasks++) await finish("leaf");
    await call(server, "POST", `/v1/executions/${middle}/signal`, { event: "go" });
    const end = await untilEnded(server, middle);
    expect([end.status, end.run, end.actions[0].child]).toEqual(["COMPLETED", 2, other]);
    expect((await untilEnded(server, leaf)).status).toBe("COMPLETED");
  });
});

describe("rerun", () => {
  test.each(Object.keys(reached))("of an execution that is %s", async (status) => {
    const timeout = status === "TIMED_OUT" && { timeoutSeconds: 0.01 };
    await saveWorkflow(server, { ...single("a"), name: status, ...timeout });
    const id = await startExecution(server, status);
    await reached[status]!(id);
    const exact = '{"n":12345678901234567890}';
    const text = `{"action":"a","parameters":${exact},"reason":"once more"}`;
    const answer = await call(server, "POST", `/v1/executions/${id}/rerun`, text);
    if (status === "RUNNING") {
      expect(codeOf(answer)).toEqual([409, "INVALID_STATE", status]);
      await operate(id, "cancel");
      return;
    }
    expect([answer.status, answer.body.error]).toEqual([200, undefined]);
    if (status === "TIMED_OUT") {
      expect((await untilEnded(server, id)).run).toBe(2);
      return;
    }
    const running = (await call(server, "GET", `/v1/executions/${id}`)).body;
    expect(running).toMatchObject({
      status: "RUNNING",
      run: 2,
      actions: [{ status: "SCHEDULED" }],
    });
    expect(running.data.a).toBeUndefined();
    const response = await fetch(`${server.url}/orchy.v1.WorkerService/Poll`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ actions: ["a"], waitSeconds: 60 }),
    });
    const polled = await response.text();
    expect(polled).toContain(`"parameters":${exact}`);
    const [task] = JSON.parse(polled).tasks;
    expect([task.executionId, task.attempt]).toEqual([id, 1]);
    await complete(server, done(task, "again"));
    expect((await untilEnded(server, id)).result).toBe("again");
  });

  test("bodies are checked; actions are named by their ids, numbers too", async () => {
    const action = { id: 7, type: "user", name: "seven" };
    await saveWorkflow(server, { name: "seven", rootAction: 7, actions: [action] });
    const id = await startExecution(server, "seven");
    await operate(id, "pause");
    for (const [body, pointer] of [
      [{}, "/action"],
      [{ action: -1 }, "/action"],
      [{ action: 7, parameter: {} }, "/parameter"],
    ] as const) {
      const { status, body: answer } = await operate(id, "rerun", body);
      expect([status, answer.error.details[0].pointer]).toEqual([400, pointer]);
    }
    expect((await operate(id, "rerun", { action: 8 })).status).toBe(404);
    const body = { action: 7, operationId: "o" };
    expect((await operate(id, "rerun", body)).status).toBe(200);
    expect((await operate(id, "rerun", { ...body, action: "7" })).status).toBe(200);
    expect(codeOf(await operate(id, "rerun", { ...body, action: "8" }))[1]).toBe("CONFLICT");
    expect((await call(server, "GET", `/v1/executions/${id}`)).body.run).toBe(2);
  });
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

  test("of two retries one counts, and the task comes once", async () => {
    const [one, other] = pair;
    await saveWorkflow(one, single("raced"));
    for (let round = 0; round < 10; round++) {
      const id = await startExecution(one, "raced");
      await fail("raced", other);
      const answers = await Promise.all([
        operate(id, "retry", {}, one),
        operate(id, "retry", {}, other),
      ]);
      expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409]);
      await finish("raced", round % 2 === 0 ? one : other);
      expect((await untilEnded(one, id)).run).toBe(2);
    }
  });

  test("of a rerun and a result, elsewhere, of what it resets, each counts or is refused", async () => {
    const [one, other] = pair;
    await saveWorkflow(one, single("reset"));
    for (let round = 0; round < 20; round++) {
      const id = await startExecution(one, "reset");
      const task = await pollOne(other, "reset");
      await operate(id, "pause", {}, one);
      const [rerun, [result]] = await Promise.all([
        operate(id, "rerun", { action: "a" }, one),
        complete(other, done(task, "old")),
      ]);
      expect(rerun.body.status).toBe("RUNNING");
      expect(["ACCEPTED", "STALE"]).toContain(result!);
      await finish("reset", other);
      expect(await untilEnded(one, id)).toMatchObject({ run: 2, result: "good" });
    }
  });

  test("no timer of an older run has a say, wherever it is due", async () => {
    const [one, other] = pair;
    const wait = { type: "system", name: "wait", event: "go" };
    const actions = [
      { id: "a", ...wait, timeoutSeconds: "{$.input.seconds}", next: { go: "b", timeout: "late" } },
      { id: "b", ...wait },
      { id: "late", type: "system", name: "transform" },
    ];
    await saveWorkflow(one, { name: "timed", rootAction: "a", actions });
    for (let round = 0; round < 10; round++) {
      const id = await startExecution(one, "timed", { seconds: 0.03 });
      await operate(id, "pause", {}, other);
      const rerun = await operate(id, "rerun", { action: "a" }, other);
      expect(rerun.status).toBe(200);
      const end = await untilEnded(one, id);
      const { items } = (await call(one, "GET", `/v1/executions/${id}/history`)).body;
      const began = items.findLastIndex(({ kind }: { kind: string }) => kind === "execution.rerun");
      const timedOut = items
        .slice(began)
        .filter(({ kind }: { kind: string }) => kind === "action.completed");
      expect([end.status, timedOut.map(({ action }: { action: string }) => action)]).toEqual([
        "COMPLETED",
        ["a", "late"],
      ]);
    }
  });
});

test("a retry before its end is followed keeps the follow-up from being started", async () => {
  const store = new MemoryStore({ partitions: 1 });
  const claim = store.claimOutbox.bind(store);
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  store.claimOutbox = (request) => released.then(() => claim(request));
  const at = await startTestServer({ parts: { store } });
  try {
    await saveWorkflow(at, { ...single("held"), onFailure: { workflow: "held" } });
    const id = await startExecution(at, "held");
    await fail("held", at);
    await operate(id, "retry", {}, at);
    release();
    await finish("held", at);
    await untilEnded(at, id);
    // With the message still there, the execution could not be deleted.
    while ((await call(at, "DELETE", `/v1/executions/${id}`)).status === 503);
    expect((await call(at, "GET", "/v1/executions?workflow=held")).body.items).toEqual([]);
  } finally {
    await at.remove();
  }
});
