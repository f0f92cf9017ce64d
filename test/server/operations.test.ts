/** Starting executions and acting on them, in every state and at awkward moments. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { limits } from "../../src/base/limits.ts";
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
import { actionOf, complete, done, failed, heartbeat, poll, pollOne, single } from "./calls.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});

afterAll(() => server.remove());

const operate = (id: string, operation: string, body: object = {}) =>
  call(server, "POST", `/v1/executions/${id}/${operation}`, body);

const signal = (id: string, event: string, payload: unknown = null, more: object = {}) =>
  call(server, "POST", `/v1/executions/${id}/signal`, { event, payload, ...more });

const busyMs = (ms: number) => `const end = Date.now() + ${ms}; while (Date.now() < end) {}`;

const script = (expression: string, next?: string) => ({
  id: "s",
  type: "system",
  name: "javascript",
  expression,
  ...(next !== undefined && { next: { default: next } }),
});

/**
 * Starts executions until one is paused before the named actions have begun, as a busy machine may
 * be late. `meanwhile` is what has to happen before the pause.
 */
async function pauseBefore<Result>(
  workflow: string,
  actions: readonly string[],
  meanwhile: () => Promise<Result>,
): Promise<{ readonly id: string; readonly result: Result }> {
  for (let times = 0; times < 20; times++) {
    const id = await startExecution(server, workflow);
    const result = await meanwhile();
    if ((await operate(id, "pause")).status !== 200) continue;
    const { body } = await call(server, "GET", `/v1/executions/${id}`);
    const begun = body.actions.filter(
      (action: { id: string; status: string }) =>
        actions.includes(action.id) && action.status !== "PENDING",
    );
    if (begun.length === 0) return { id, result };
    await operate(id, "cancel");
  }
  throw new Error("every pause came too late");
}

/** The id of what an execution's end has started, once it is there. */
async function followUpOf(workflow: string, status = "COMPLETED"): Promise<Answer["body"]> {
  for (;;) {
    const path = `/v1/executions?workflow=${workflow}&status=${status}`;
    const { body } = await call(server, "GET", path);
    if (body.items.length > 0) {
      return (await call(server, "GET", `/v1/executions/${body.items[0].id}`)).body;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("starting", () => {
  test("100 equal starts at once make one execution, and its script runs at once", async () => {
    await saveWorkflow(server, {
      name: "idempotent",
      rootAction: "s",
      actions: [script("$.sum = $.input.a + $.input.b;")],
    });
    const started = performance.now();
    const starts = await Promise.all(
      Array.from({ length: 100 }, () =>
        call(
          server,
          "POST",
          "/v1/executions",
          { workflow: "idempotent", input: { a: 2, b: 3 } },
          { "idempotency-key": "one" },
        ),
      ),
    );
    expect(new Set(starts.map(({ status }) => status))).toEqual(new Set([202]));
    expect(new Set(starts.map(({ body }) => body.id)).size).toBe(1);
    expect(starts.filter(({ body }) => body.created)).toHaveLength(1);
    expect((await untilEnded(server, starts[0]!.body.id)).result).toEqual({ sum: 5 });
    // Well before a script that was lost would be requested again.
    expect(performance.now() - started).toBeLessThan(limits.scriptWaitMsMin);
    const other = { workflow: "idempotent", input: { a: 2, b: 4 } };
    const headers = { "idempotency-key": "one" };
    expect((await call(server, "POST", "/v1/executions", other, headers)).status).toBe(409);
  });

  test("a refused start leaves the execution of that id alone, its script included", async () => {
    await saveWorkflow(server, {
      name: "refused",
      rootAction: "s",
      actions: [script(`${busyMs(150)} $.mine = $.input;`)],
    });
    const executionId = "taken";
    await startExecution(server, "refused", "first", { executionId });
    const second = { workflow: "refused", input: "second", executionId };
    const { status } = await call(server, "POST", "/v1/executions", second);
    expect(status).toBe(409);
    expect((await untilEnded(server, executionId)).result).toEqual({ mine: "first" });
  });

  test("what is sent while the same start is repeated is not lost", async () => {
    await saveWorkflow(server, {
      name: "repeated",
      rootAction: ["s", "w", "a"],
      actions: [
        script(busyMs(30)),
        { id: "w", type: "system", name: "wait", event: "go", next: { default: "x" } },
        { id: "a", type: "user", name: "repeated", next: { default: "x" } },
        { id: "x", type: "system", name: "transform", parameters: { w: "$.w.output.payload" } },
      ],
    });
    for (let round = 0; round < 5; round++) {
      const executionId = `repeated-${round}`;
      const start = () => startExecution(server, "repeated", {}, { executionId });
      await start();
      const task = await pollOne(server, "repeated");
      // The repeated start is on its way through its script when these come.
      const repeated = start();
      const [answers, signalled] = await Promise.all([
        complete(server, done(task)),
        signal(executionId, "go", round),
      ]);
      expect([answers, signalled.status]).toEqual([["ACCEPTED"], 200]);
      expect(await repeated).toBe(executionId);
      const body = await untilEnded(server, executionId);
      expect(body.data.x.output).toEqual({ w: round });
    }
  });

  test("a signal that comes with the start is there before its wait", async () => {
    await saveWorkflow(server, {
      name: "with-signal",
      rootAction: "w",
      actions: [{ id: "w", type: "system", name: "wait", event: "go" }],
    });
    const start = { workflow: "with-signal", signal: { event: "go", payload: { n: 1 } } };
    const { status, body } = await call(server, "POST", "/v1/executions?wait=10", start);
    expect([status, body.result]).toEqual([200, { event: "go", payload: { n: 1 } }]);
  });
});

describe("pause and resume", () => {
  test("a queued task is held back and handed out again", async () => {
    await saveWorkflow(server, single("held"));
    const id = await startExecution(server, "held");
    for (let times = 0; times < 2; times++) {
      expect((await operate(id, "pause")).body.status).toBe("PAUSED");
    }
    expect(await poll(server, { actions: ["held"], waitSeconds: 0 })).toEqual([]);
    const waiting = pollOne(server, "held");
    for (let times = 0; times < 2; times++) {
      expect((await operate(id, "resume")).body.status).toBe("RUNNING");
    }
    const task = await waiting;
    expect([task.executionId, task.attempt]).toEqual([id, 1]);
    // Under way when it is paused: it goes on, beats, and its result counts.
    await operate(id, "pause");
    expect(await heartbeat(server, task.token)).toEqual(["EXTENDED"]);
    expect(await complete(server, done(task, "while paused"))).toEqual(["ACCEPTED"]);
    expect((await call(server, "GET", `/v1/executions/${id}`)).body.status).toBe("PAUSED");
    await operate(id, "resume");
    expect((await untilEnded(server, id)).result).toBe("while paused");
  });

  test("delays, signals, backoffs and scripts of a paused one come to their end, no further", async () => {
    const step = (id: string) => ({ id, type: "system", name: "transform" });
    const retry = { retryCount: 1, retryAfterSeconds: 0.05, jitter: 0 };
    await saveWorkflow(server, {
      name: "rests",
      rootAction: ["d", "w", "r", "s"],
      actions: [
        { id: "d", type: "system", name: "delay", delaySeconds: 0.5, next: { default: "d2" } },
        { id: "w", type: "system", name: "wait", event: "go", next: { default: "w2" } },
        { id: "r", type: "user", name: "rests", retry },
        script(busyMs(500), "s2"),
        ...["d2", "w2", "s2"].map(step),
      ],
    });
    const { id, result: task } = await pauseBefore("rests", ["d2", "s2"], () =>
      pollOne(server, "rests"),
    );
    await complete(server, failed(task, "AGAIN"));
    await signal(id, "go");
    const ended = new Set<string>();
    await untilEvent(server, id, ({ kind, action }) => {
      if (kind === "action.completed") ended.add(action!);
      return ended.size === 3;
    });
    expect(await poll(server, { actions: ["rests"], waitSeconds: 0.2 })).toEqual([]);
    const { body } = await call(server, "GET", `/v1/executions/${id}`);
    const statuses = body.actions.map(({ status }: { status: string }) => status);
    const completed = "COMPLETED";
    expect(statuses).toEqual([
      ...[completed, completed, "RETRYING", completed],
      ...["PENDING", "PENDING", "PENDING"],
    ]);
    await operate(id, "resume");
    const second = await pollOne(server, "rests");
    expect(second.attempt).toBe(2);
    await complete(server, done(second));
    const end = await untilEnded(server, id);
    expect(end.actions.every(({ status }: { status: string }) => status === completed)).toBe(true);
  });

  test("queue, total and execution timeouts stand still during a pause", async () => {
    const rules = { queueTimeoutSeconds: 1, totalTimeoutSeconds: 2.5 };
    await saveWorkflow(server, { ...single("still", rules), timeoutSeconds: 5 });
    const { id } = await pauseBefore("still", [], async () => {});
    await Bun.sleep(1_500);
    expect((await actionOf(server, id, "a")).status).toBe("SCHEDULED");
    await operate(id, "resume");
    const body = await untilEnded(server, id);
    expect([body.status, body.error.code]).toEqual(["FAILED", "QUEUE_TIMEOUT"]);
    const { items } = (await call(server, "GET", `/v1/executions/${id}/history`)).body;
    const at = (kind: string) =>
      Date.parse(items.find((entry: { kind: string }) => entry.kind === kind).at);
    const openMs = at("action.failed") - at("execution.resumed") + at("execution.paused");
    // The store counts from each commit, a little after the decision that history shows.
    expect(openMs - at("action.scheduled")).toBeGreaterThanOrEqual(500);
  });
});

describe("cancel", () => {
  test("ends an execution in every open state, and twice is refused", async () => {
    const retry = { retryCount: 1, retryAfterSeconds: 60 };
    await saveWorkflow(server, {
      name: "cancelled",
      rootAction: ["d", "w", "q", "l", "b"],
      actions: [
        { id: "d", type: "system", name: "delay", delaySeconds: 60 },
        { id: "w", type: "system", name: "wait", event: "go" },
        { id: "q", type: "user", name: "cancelled-queued" },
        { id: "l", type: "user", name: "cancelled-leased" },
        { id: "b", type: "user", name: "cancelled-backoff", retry },
      ],
    });
    for (const paused of [false, true]) {
      const id = await startExecution(server, "cancelled");
      const leased = await pollOne(server, "cancelled-leased");
      await complete(server, failed(await pollOne(server, "cancelled-backoff"), "AGAIN"));
      if (paused) await operate(id, "pause");
      expect((await operate(id, "cancel")).body.status).toBe("CANCELLED");
      expect(await heartbeat(server, leased.token)).toEqual(["CANCELLED"]);
      expect(await poll(server, { actions: ["cancelled-queued"], waitSeconds: 0 })).toEqual([]);
      const { body } = await call(server, "GET", `/v1/executions/${id}`);
      const statuses = new Set(body.actions.map(({ status }: { status: string }) => status));
      expect(statuses).toEqual(new Set(["CANCELLED"]));
      for (const operation of ["cancel", "pause", "resume"]) {
        const { status, body } = await operate(id, operation);
        expect([status, body.error.code]).toEqual([409, "INVALID_STATE"]);
        expect(body.error.status).toBe("CANCELLED");
      }
      expect((await signal(id, "go")).status).toBe(409);
    }
  });

  test("overtakes a script that runs", async () => {
    await saveWorkflow(server, {
      name: "overtaken",
      rootAction: "s",
      actions: [script("while (true) {}")],
    });
    const id = await startExecution(server, "overtaken");
    // After the script's limit it would have failed.
    expect((await operate(id, "cancel")).body.status).toBe("CANCELLED");
    expect((await actionOf(server, id, "s")).status).toBe("CANCELLED");
  });

  test("the same operation with its id, repeated after the end, is no error", async () => {
    await saveWorkflow(server, single("with-id"));
    const id = await startExecution(server, "with-id");
    for (let times = 0; times < 2; times++) {
      const { status, body } = await operate(id, "cancel", { operationId: "op-1" });
      expect([status, body.status]).toEqual([200, "CANCELLED"]);
    }
  });
});

describe("ids of signals and operations", () => {
  test("are remembered beyond the latest 200", async () => {
    await saveWorkflow(server, single("many-causes"));
    const id = await startExecution(server, "many-causes");
    for (let i = 0; i < 150; i++) {
      await operate(id, "pause", { operationId: `pause-${i}` });
      await operate(id, "resume", { operationId: `resume-${i}` });
    }
    // If it were applied once more, the execution would be PAUSED.
    const { status, body } = await operate(id, "pause", { operationId: "pause-0" });
    expect([status, body.status]).toEqual([200, "RUNNING"]);
  });

  test("count within an event or a kind of operation; another payload or reason is refused", async () => {
    await saveWorkflow(server, single("reused"));
    const id = await startExecution(server, "reused");
    const send = (event: string, payload: string, signalId: string) =>
      call(
        server,
        "POST",
        `/v1/executions/${id}/signal`,
        `{"event":"${event}","payload":${payload},"signalId":"${signalId}"}`,
      );
    const outcome = async (event: string, payload: string) => {
      const { body } = await send(event, payload, "s");
      return body.outcome ?? body.error.code;
    };
    expect(await outcome("go", '{"a":1,"b":[2]}')).toBe("accepted");
    expect(await outcome("go", '{ "b": [2.0], "a": 1 }')).toBe("duplicate");
    expect(await outcome("go", '{"a":1,"b":[3]}')).toBe("CONFLICT");
    expect(await outcome("stop", '{"a":1,"b":[2]}')).toBe("accepted");
    expect(await outcome("stop", '{"a":1,"b":[2]}')).toBe("duplicate");
    expect(await outcome("stop", "2")).toBe("CONFLICT");
    const other = await send("go", "1", "t");
    expect(other.body.outcome).toBe("accepted");
    const { body } = await call(server, "GET", `/v1/executions/${id}`);
    expect(body.bufferedSignals).toEqual(["go", "stop", "go"]);

    expect((await operate(id, "pause", { operationId: "s" })).body.status).toBe("PAUSED");
    expect((await operate(id, "resume", { operationId: "s" })).body.status).toBe("RUNNING");
    const cancelled = { operationId: "c", reason: "enough" };
    expect((await operate(id, "cancel", cancelled)).body.status).toBe("CANCELLED");
    expect((await operate(id, "cancel", cancelled)).status).toBe(200);
    const reused = await operate(id, "cancel", { ...cancelled, reason: "else" });
    expect([reused.status, reused.body.error.code]).toEqual([409, "CONFLICT"]);
    expect(reused.body.error.message).toContain("operationId");
  });
});

describe("signals", () => {
  test("100 that come early are kept, more are refused until some are consumed", async () => {
    await saveWorkflow(server, {
      name: "early",
      rootAction: "a",
      actions: [
        { id: "a", type: "user", name: "early", next: { default: "w1" } },
        { id: "w1", type: "system", name: "wait", event: "go", next: { default: "w2" } },
        { id: "w2", type: "system", name: "wait", event: "go", next: { default: "w3" } },
        { id: "w3", type: "system", name: "wait", event: "last" },
      ],
    });
    const id = await startExecution(server, "early");
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, n) => signal(id, "go", n, { signalId: `s${n}` })),
    );
    const kept = answers.flatMap(({ status }, n) => (status === 200 ? [n] : []));
    expect(kept).toHaveLength(100);
    const refused = answers.filter(({ status }) => status === 429);
    expect([refused.length, refused[0]!.body.error.code]).toEqual([100, "TOO_MANY"]);
    // The repeat of one that was kept is not kept itself.
    expect((await signal(id, "go", 0, { signalId: `s${kept[0]}` })).body.outcome).toBe("duplicate");
    await complete(server, done(await pollOne(server, "early")));
    await untilEvent(
      server,
      id,
      ({ kind, action }) => kind === "action.waiting" && action === "w3",
    );
    const { body } = await call(server, "GET", `/v1/executions/${id}`);
    expect(body.bufferedSignals).toHaveLength(98);
    const consumed = [body.data.w1.output.payload, body.data.w2.output.payload];
    expect(kept).toContain(consumed[0]);
    expect(kept).toContain(consumed[1]);
    expect(consumed[0]).not.toBe(consumed[1]);
    expect((await signal(id, "last", "end")).status).toBe(200);
    expect((await untilEnded(server, id)).result).toEqual({ event: "last", payload: "end" });
  });

  test("of two waits for one event, the one that started first gets it", async () => {
    const wait = (id: string) => ({ id, type: "system", name: "wait", event: "go" });
    await saveWorkflow(server, {
      name: "two-waits",
      rootAction: ["second", "d"],
      actions: [
        { id: "d", type: "system", name: "delay", delaySeconds: 0.1, next: { default: "first" } },
        wait("first"),
        wait("second"),
      ],
    });
    const id = await startExecution(server, "two-waits");
    await untilEvent(
      server,
      id,
      ({ action, kind }) => action === "first" && kind.endsWith("waiting"),
    );
    await signal(id, "go", 1);
    await signal(id, "go", 2);
    const { data } = await untilEnded(server, id);
    expect([data.second.output.payload, data.first.output.payload]).toEqual([1, 2]);
  });
});

describe("what follows an end", () => {
  test("chains of onSuccess end at depth 3", async () => {
    await saveWorkflow(server, {
      name: "chain",
      rootAction: "t",
      actions: [{ id: "t", type: "system", name: "transform", parameters: { n: "$.input.n" } }],
      onSuccess: { workflow: "chain", parameters: { n: { of: "$.t.output.n" } } },
    });
    const id = await startExecution(server, "chain", { n: 1 }, { correlationId: "c-1" });
    let items: { id: string }[] = [];
    while (items.length < 4) {
      const { body } = await call(server, "GET", "/v1/executions?correlationId=c-1");
      items = body.items;
    }
    const newest = await untilEnded(server, items[0]!.id);
    expect(newest.result).toEqual({ n: { of: { of: { of: 1 } } } });
    const { body } = await call(server, "GET", `/v1/executions/${newest.id}/history`);
    const kinds = body.items.map(({ kind }: { kind: string }) => kind);
    expect(kinds).toContain("follow-up.failed");
    expect(items.map((item) => item.id)).toContain(id);
    expect((await call(server, "GET", "/v1/executions?workflow=chain")).body.items).toHaveLength(4);
  });

  test("onFailure is told the error; one that cannot be started changes nothing else", async () => {
    await saveWorkflow(server, {
      name: "repair",
      rootAction: "t",
      actions: [{ id: "t", type: "system", name: "transform", parameters: "$.input" }],
    });
    const failing = (name: string, workflow: string) => ({
      name,
      rootAction: "s",
      actions: [script("throw new Error('broken')")],
      onFailure: { workflow },
    });
    await saveWorkflow(server, failing("fails", "repair"));
    const id = await startExecution(server, "fails", { big: 1 });
    const { result } = await followUpOf("repair");
    expect(result.input).toEqual({ big: 1 });
    expect(result.error).toMatchObject({ code: "SCRIPT_ERROR", action: "s" });
    expect(result.execution).toMatchObject({ id, workflow: "fails", version: 1 });

    await saveWorkflow(server, failing("fails-alone", "unknown-workflow"));
    const alone = await startExecution(server, "fails-alone");
    expect((await untilEnded(server, alone)).status).toBe("FAILED");
    for (;;) {
      const { body } = await call(server, "GET", `/v1/executions/${alone}/history`);
      const last = body.items.at(-1);
      if (last.kind === "follow-up.failed") {
        expect(last.details.message).toContain("unknown-workflow");
        break;
      }
    }
  });

  test("what an execution starts at its end is started, though it is removed at once", async () => {
    await saveWorkflow(server, single("heir"));
    await saveWorkflow(server, {
      name: "leaves",
      rootAction: "t",
      actions: [{ id: "t", type: "system", name: "transform" }],
      onSuccess: { workflow: "heir", parameters: { from: "$.execution.id" } },
      retentionSeconds: 0,
    });
    const ids = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const id = await startExecution(server, "leaves");
        await call(server, "DELETE", `/v1/executions/${id}`);
        return id;
      }),
    );
    const heard = new Set<string>();
    while (heard.size < ids.length) {
      const tasks = await poll(server, { actions: ["heir"], maxTasks: 20, waitSeconds: 5 });
      expect(tasks.length).toBeGreaterThan(0);
      for (const { executionId } of tasks) {
        const { body } = await call(server, "GET", `/v1/executions/${executionId}`);
        heard.add(body.input.from);
      }
      await complete(server, ...tasks.map((task) => done(task)));
    }
    expect(heard).toEqual(new Set(ids));
  });

  test("DELETE at the end, by hand, and after the retention", async () => {
    const quick = { rootAction: "t", actions: [{ id: "t", type: "system", name: "transform" }] };
    await saveWorkflow(server, { ...quick, name: "deletes-itself", onSuccess: "DELETE" });
    await saveWorkflow(server, { ...quick, name: "expires", retentionSeconds: 0.1 });
    for (const workflow of ["deletes-itself", "expires"]) {
      const id = await startExecution(server, workflow);
      for (;;) {
        const { status, body } = await call(server, "GET", `/v1/executions/${id}`);
        if (status === 200) continue;
        expect([status, body.error.code]).toEqual([410, "DELETED"]);
        break;
      }
      expect((await signal(id, "go")).status).toBe(410);
      expect(
        (await call(server, "POST", "/v1/executions", { workflow, executionId: id })).status,
      ).toBe(410);
      expect((await call(server, "GET", `/v1/executions?workflow=${workflow}`)).body.items).toEqual(
        [],
      );
    }

    await saveWorkflow(server, single("by-hand"));
    const id = await startExecution(server, "by-hand");
    const task = await pollOne(server, "by-hand");
    const remove = () => call(server, "DELETE", `/v1/executions/${id}`);
    expect((await remove()).body.error).toMatchObject({ code: "INVALID_STATE", status: "RUNNING" });
    await complete(server, done(task));
    await untilEnded(server, id);
    expect((await remove()).status).toBe(204);
    expect((await remove()).status).toBe(410);
    expect(await complete(server, done(task))).toEqual(["STALE"]);
    expect(await heartbeat(server, task.token)).toEqual(["STALE"]);
    const unknown = crypto.randomUUID();
    expect((await call(server, "DELETE", `/v1/executions/${unknown}`)).status).toBe(404);
  });
});

test("a start tells the status after what was decided at once", async () => {
  const actions = [{ id: "t", type: "system", name: "transform", parameters: { a: 1 } }];
  await saveWorkflow(server, { name: "instant", rootAction: "t", actions });
  const { body } = await call(server, "POST", "/v1/executions", { workflow: "instant", input: {} });
  expect(body.status).toBe("COMPLETED");
});

test("an action that nobody has registered shows what waits for a worker", async () => {
  const actions = [{ id: "u", type: "user", name: "unregistered" }];
  await saveWorkflow(server, { name: "unregistered-user", rootAction: "u", actions });
  expect((await call(server, "GET", "/v1/actions/unregistered")).status).toBe(404);
  await startExecution(server, "unregistered-user");
  const { status, body } = await call(server, "GET", "/v1/actions/unregistered");
  expect([status, body.queued]).toEqual([200, 1]);
});
