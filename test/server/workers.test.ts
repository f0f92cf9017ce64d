/** Workers that are late, silent, wrong, cut off or many: what the real edge answers them. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { limits } from "../../src/base/limits.ts";
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
import {
  actionOf,
  complete,
  done,
  failed,
  heartbeat,
  poll,
  pollOne,
  release,
  service,
  single,
  untilPolled,
} from "./calls.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});

afterAll(() => server.remove());

async function startSingle(name: string, rules: object = {}): Promise<string> {
  await saveWorkflow(server, single(name, rules));
  return startExecution(server, name);
}

describe("results", () => {
  test("repeated, unknown, late and wrong ones change nothing and spoil no others", async () => {
    const id = await startSingle("results");
    const mine = await pollOne(server, "results");
    const other = await startExecution(server, "results");
    const others = await pollOne(server, "results");
    const unknown = mine.token.replace(id, crypto.randomUUID());
    const swapped = mine.token.replace(id, other);
    const answers = await complete(
      server,
      done({ token: unknown }, "unknown"),
      done({ token: swapped }, "another's"),
      done({ token: "nonsense" }, "nonsense"),
      done({ token: "\u0000.\ud83d\ude00.a:1:1:b" }, "strange"),
      done(mine, "first"),
      { token: others.token, outputJson: "bm90IGpzb24=" },
    );
    expect(answers).toEqual(["STALE", "STALE", "STALE", "STALE", "ACCEPTED", "INVALID"]);
    expect(await complete(server, done(mine, "again"))).toEqual(["DUPLICATE"]);
    expect((await untilEnded(server, id)).result).toBe("first");
    expect(await complete(server, done(others, "second"))).toEqual(["ACCEPTED"]);
    expect((await untilEnded(server, other)).result).toBe("second");
  });

  test("repeated over the legacy wire are fine, late ones are not", async () => {
    const push = async (handout: number, data: object) => {
      const result = { workflowName: "pushed", flowId: id, actionId: 0, retryCount: handout, data };
      return (await call(server, "POST", "/ActionService/Push", result)).body.status ?? false;
    };
    const id = await startSingle("pushed", {
      retry: { retryAfterSeconds: 0 },
      timeoutSeconds: 1,
    });
    await pollOne(server, "pushed");
    const second = await pollOne(server, "pushed");
    expect(second.attempt).toBe(2);
    expect(await push(1, { n: 1 })).toBe(false);
    expect(await push(2, { n: 2 })).toBe(true);
    expect(await push(2, { n: 3 })).toBe(true);
    expect(await push(1, { n: 1 })).toBe(false);
    expect((await untilEnded(server, id)).result).toEqual({ n: 2 });
  });

  test("a poll that brings a result that is not accepted answers at once", async () => {
    const id = await startSingle("brings");
    const task = await pollOne(server, "brings");
    await complete(server, done(task, 1));
    await untilEnded(server, id);
    const stale = { token: task.token.replace(id, crypto.randomUUID()), output: 2 };
    const request = { actions: ["brings"], waitSeconds: 30, results: [stale] };
    const { results, tasks } = await service(server, "Poll", request);
    expect([results, tasks]).toEqual([[{ status: "RESULT_STATUS_STALE" }], undefined]);
  });

  test("the holder's result is taken, though the one before sends his with it", async () => {
    const id = await startSingle("overtaken");
    const before = await pollOne(server, "overtaken");
    expect(await release(server, before.token)).toEqual(["RELEASED"]);
    const holder = await pollOne(server, "overtaken");
    expect([holder.attempt, holder.token === before.token]).toEqual([1, false]);
    // The first of them keeps the execution busy, so that the others are decided together.
    const strange = done({ token: before.token.replace(/:\d+:a$/, ":99:a") }, "strange");
    const answers = await complete(server, strange, done(before, "old"), done(holder, "new"));
    expect(answers).toEqual(["STALE", "STALE", "ACCEPTED"]);
    expect((await untilEnded(server, id)).result).toBe("new");
  });
});

describe("leases", () => {
  test("a lapsed one is retried, and its late result refused", async () => {
    const rules = { timeoutSeconds: 0.2, retry: { retryCount: 1, retryAfterSeconds: 0.01 } };
    const id = await startSingle("lapses", rules);
    const first = await pollOne(server, "lapses");
    const second = await pollOne(server, "lapses");
    expect([first.attempt, second.attempt]).toEqual([1, 2]);
    expect(await complete(server, done(first, "late"))).toEqual(["STALE"]);
    expect(await complete(server, done(second, "in time"))).toEqual(["ACCEPTED"]);
    const body = await untilEnded(server, id);
    expect(body.result).toBe("in time");
    expect(body.actions[0].attempts[0].error.code).toBe("TIMEOUT");
  });

  test.each(["waits for it", "asks later"])(
    "a worker that sends no heartbeats keeps a task for leaseSeconds: it %s",
    async (how) => {
      const name = how.replaceAll(" ", "-");
      const rules = { retry: { retryCount: 1, retryAfterSeconds: 0.01 } };
      await saveWorkflow(server, single(name, rules));
      const parkedPoll = { leaseSeconds: 1, workerId: name };
      const asking = how === "waits for it" ? pollOne(server, name, parkedPoll) : undefined;
      if (asking !== undefined) await untilPolled(server, name);
      const id = await startExecution(server, name);
      const first = await (asking ?? pollOne(server, name, { leaseSeconds: 1 }));
      expect([first.attempt, first.heartbeatMs]).toEqual([1, "1000"]);
      // Nothing else is heard of the first worker: it was killed.
      const second = await pollOne(server, name, { leaseSeconds: 60 });
      expect([second.attempt, second.heartbeatMs]).toEqual([2, "60000"]);
      expect(await complete(server, done(first), done(second, 7))).toEqual(["STALE", "ACCEPTED"]);
      const { result, actions } = await untilEnded(server, id);
      expect([result, actions[0].attempts[0].error.code]).toEqual([7, "HEARTBEAT_LOST"]);
    },
  );

  test("an action's own heartbeatSeconds comes before leaseSeconds", async () => {
    const id = await startSingle("own-silence", { heartbeatSeconds: 7 });
    const task = await pollOne(server, "own-silence", { leaseSeconds: 60 });
    expect(task.heartbeatMs).toBe("7000");
    await complete(server, done(task));
    await untilEnded(server, id);
    for (const leaseSeconds of [-1, 0.5, 86_401, "NaN"]) {
      const refused = service(server, "Poll", { actions: ["own-silence"], leaseSeconds });
      await expect(refused).rejects.toThrow("or 1 to 86400");
    }
  });

  test("heartbeats keep it, for as long as each is told to", async () => {
    const id = await startSingle("beats", { heartbeatSeconds: 3, retry: { retryCount: 0 } });
    const task = await pollOne(server, "beats");
    for (let beats = 0; beats < 4; beats++) {
      await Bun.sleep(900);
      expect(await heartbeat(server, task.token, "unknown")).toEqual(["EXTENDED", "STALE"]);
    }
    expect(await complete(server, done(task, 1))).toEqual(["ACCEPTED"]);
    expect((await untilEnded(server, id)).actions[0].attempts).toHaveLength(1);
  });

  test("silence after a heartbeat is noticed as soon as silence from the start", async () => {
    const rules = { heartbeatSeconds: 2, retry: { retryCount: 0 } };
    const id = await startSingle("falls-silent", rules);
    const task = await pollOne(server, "falls-silent");
    expect(await heartbeat(server, task.token)).toEqual(["EXTENDED"]);
    const body = await untilEnded(server, id);
    expect([body.status, body.error.code]).toEqual(["FAILED", "HEARTBEAT_LOST"]);
    // It did not say who it is.
    expect(body.actions[0].attempts[0]).not.toHaveProperty("worker");
    expect(await complete(server, done(task, "late"))).toEqual(["STALE"]);
  });

  test("a heartbeat extends by the action's own interval, be it a long one", async () => {
    const id = await startSingle("patient", { heartbeatSeconds: 200 });
    const task = await pollOne(server, "patient");
    const before = Date.parse((await actionOf(server, id, "a")).attempts[0].leaseUntil);
    await Bun.sleep(20);
    expect(await heartbeat(server, task.token)).toEqual(["EXTENDED"]);
    const after = Date.parse((await actionOf(server, id, "a")).attempts[0].leaseUntil);
    expect(after).toBeGreaterThanOrEqual(before + 20);
    await complete(server, done(task));
  });

  test("its progress is shown with the open attempt, and with no other", async () => {
    const rules = { retry: { retryCount: 1, retryAfterSeconds: 0 } };
    const id = await startSingle("progress", rules);
    const task = await pollOne(server, "progress");
    const beat = (progress?: unknown) =>
      service(server, "Heartbeat", { tasks: [{ token: task.token, progress }] });
    const attempts = async () => (await actionOf(server, id, "a")).attempts;

    expect((await attempts())[0].heartbeatAt).toBeUndefined();
    await beat({ done: 1, of: 3 });
    await beat({ done: 2, of: 3 });
    const [told] = await attempts();
    expect(told.progress).toEqual({ done: 2, of: 3 });
    expect(Date.parse(told.heartbeatAt)).toBeGreaterThanOrEqual(Date.parse(told.startedAt));
    const { statuses } = await beat("x".repeat(limits.progressBytesMax));
    expect(statuses).toEqual(["HEARTBEAT_STATUS_EXTENDED"]);
    await beat();
    expect((await attempts())[0].progress).toEqual({ done: 2, of: 3 });

    await complete(server, failed(task, "AGAIN"));
    const second = await pollOne(server, "progress");
    await beat("late");
    const [first, open] = await attempts();
    for (const { progress, heartbeatAt } of [first, open]) {
      expect([progress, heartbeatAt]).toEqual([undefined, undefined]);
    }
    await complete(server, done(second));
  });

  test("a cancelled task hears it at its heartbeat, and its result is not needed", async () => {
    const id = await startSingle("cancelled");
    const task = await pollOne(server, "cancelled");
    await call(server, "POST", `/v1/executions/${id}/cancel`, { reason: "enough" });
    expect(await heartbeat(server, task.token)).toEqual(["CANCELLED"]);
    expect(await complete(server, done(task, 1))).toEqual(["STALE"]);
    expect((await untilEnded(server, id)).cancelReason).toBe("enough");
  });

  test("a cancelled task is told to its worker with a poll, parked or not, and to no other", async () => {
    const ids = await Promise.all(["told-a", "told-b"].map((name) => startSingle(name)));
    const workerId = "holder";
    const tasks = [];
    for (const name of ["told-a", "told-b"]) tasks.push(await pollOne(server, name, { workerId }));
    const nothing = { actions: ["nothing"], waitSeconds: 30, workerId };
    const waiting = service(server, "Poll", { ...nothing, actions: ["parked-nothing"] });
    await untilPolled(server, "parked-nothing");
    const other = service(server, "Poll", { ...nothing, workerId: "other" });
    const cancel = (id: string) => call(server, "POST", `/v1/executions/${id}/cancel`, {});
    await cancel(ids[0]!);
    expect(await waiting).toEqual({ cancelled: [tasks[0]!.token] });
    // It was told once.
    expect(await service(server, "Poll", { ...nothing, waitSeconds: 0 })).toEqual({});
    await cancel(ids[1]!);
    expect(await service(server, "Poll", nothing)).toEqual({ cancelled: [tasks[1]!.token] });
    expect(await heartbeat(server, ...tasks.map(({ token }) => token))).toEqual([
      "CANCELLED",
      "CANCELLED",
    ]);
    await saveWorkflow(server, single("nothing"));
    await startExecution(server, "nothing");
    const { tasks: others, cancelled } = await other;
    expect([others.length, cancelled]).toEqual([1, undefined]);
    await complete(server, done(others[0]));
  });

  test("a TypeScript worker aborts a cancelled task long before its next heartbeat", async () => {
    const worker = createWorker(server);
    const begun = Promise.withResolvers<void>();
    const aborted = Promise.withResolvers<unknown>();
    worker.action("ts-cancelled", (_input, { signal }) => {
      signal.addEventListener("abort", () => aborted.resolve(signal.reason));
      begun.resolve();
      return aborted.promise;
    });
    await worker.start();
    const id = await startSingle("ts-cancelled");
    await begun.promise;
    await call(server, "POST", `/v1/executions/${id}/cancel`, {});
    expect(await aborted.promise).toMatchObject({ reason: "cancelled" });
    await worker.stop();
  });

  test("a released task is queued again, no attempt burnt", async () => {
    const id = await startSingle("released", { retry: { retryCount: 0 } });
    for (let times = 0; times < 3; times++) {
      const task = await pollOne(server, "released");
      expect(task.attempt).toBe(1);
      expect(await release(server, task.token, "unknown")).toEqual(["RELEASED", "STALE"]);
    }
    const task = await pollOne(server, "released");
    await complete(server, done(task, "at last"));
    expect((await untilEnded(server, id)).actions[0].attempts).toHaveLength(1);
  });

  test("a queue timeout goes on after a release", async () => {
    const id = await startSingle("queue-timeout", { queueTimeoutSeconds: 1.5 });
    const task = await pollOne(server, "queue-timeout");
    // Longer than the whole timeout: it stands still while the task is leased.
    await Bun.sleep(1_600);
    expect(await release(server, task.token)).toEqual(["RELEASED"]);
    const body = await untilEnded(server, id);
    expect([body.status, body.error.code]).toEqual(["FAILED", "QUEUE_TIMEOUT"]);
  });

  test("a worker that dies on its task every time ends the execution with a clear error", async () => {
    const rules = { timeoutSeconds: 0.1, retry: { retryCount: 2, retryAfterSeconds: 0.01 } };
    const id = await startSingle("poison", rules);
    for (const attempt of [1, 2, 3]) {
      expect((await pollOne(server, "poison")).attempt).toBe(attempt);
    }
    const body = await untilEnded(server, id);
    expect(body).toMatchObject({ status: "FAILED", error: { code: "TIMEOUT", action: "a" } });
    expect(body.actions[0].attempts).toHaveLength(3);
  });

  test("totalTimeoutSeconds ends a backoff", async () => {
    const retry = { retryCount: 5, retryAfterSeconds: 60 };
    const id = await startSingle("total", { totalTimeoutSeconds: 2, retry });
    expect(await complete(server, failed(await pollOne(server, "total"), "BROKEN"))).toEqual([
      "ACCEPTED",
    ]);
    expect((await untilEnded(server, id)).error.code).toBe("TOTAL_TIMEOUT");
  });

  test("an error that is not retryable ends the attempts", async () => {
    const id = await startSingle("final");
    await complete(server, failed(await pollOne(server, "final"), "NO_WAY", false));
    const body = await untilEnded(server, id);
    expect([body.error.code, body.actions[0].attempts.length]).toEqual(["NO_WAY", 1]);
  });
});

describe("pollers", () => {
  test("one that waits is answered at once, though other starts fail meanwhile", async () => {
    await saveWorkflow(server, single("answered"));
    const waiting = poll(server, { actions: ["answered"], maxTasks: 100, waitSeconds: 60 });
    const started = performance.now();
    // All but one of them reserve a place in the poll and do not need it.
    const starts = Array.from({ length: 100 }, () =>
      startExecution(server, "answered", {}, { executionId: "one-of-100" }),
    );
    const tasks = await waiting;
    // Well before the poll ends by itself.
    expect(performance.now() - started).toBeLessThan(30_000);
    expect(tasks.map((task) => task.executionId)).toEqual(["one-of-100"]);
    expect(new Set(await Promise.all(starts))).toEqual(new Set(["one-of-100"]));
    await complete(server, done(tasks[0]!));
  });

  test("one that waits for what follows a script gets it when that begins, not before", async () => {
    const workflow = "after-script";
    const expression = "let n = 0; for (let i = 0; i < 5_000; i++) n += i; $.n = n";
    const script = { id: "s", type: "system", name: "javascript", expression };
    const after = { id: "a", type: "user", name: workflow };
    await saveWorkflow(server, {
      name: workflow,
      rootAction: "s",
      actions: [{ ...script, next: { default: "a" } }, after],
    });
    for (let round = 0; round < 20; round++) {
      const waiting = pollOne(server, workflow);
      const id = await startExecution(server, workflow);
      await complete(server, done(await waiting));
      const [, { startedAt, attempts }] = (await untilEnded(server, id)).actions;
      expect(Date.parse(attempts[0].startedAt)).toBeGreaterThanOrEqual(Date.parse(startedAt));
    }
  });

  test("what was meant for one that is cut off goes to others at once, unburnt", async () => {
    await saveWorkflow(server, single("cut"));
    for (let round = 0; round < 10; round++) {
      const cut = new AbortController();
      const waiting = Array.from({ length: 5 }, () =>
        fetch(`${server.url}/orchy.v1.WorkerService/Poll`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ actions: ["cut"], maxTasks: 3, waitSeconds: 30 }),
          signal: cut.signal,
        }).catch(() => undefined),
      );
      // A poll of another action that is answered was registered after them: they are parked.
      await poll(server, { actions: ["none"], waitSeconds: 0 });
      cut.abort();
      const starts = Array.from({ length: 10 }, () => startExecution(server, "cut"));
      await Promise.all(waiting);
      const ids = new Set(await Promise.all(starts));
      while (ids.size > 0) {
        const tasks = await poll(server, { actions: ["cut"], maxTasks: 10, waitSeconds: 5 });
        expect(tasks.length).toBeGreaterThan(0);
        for (const task of tasks) {
          expect([task.attempt, ids.delete(task.executionId)]).toEqual([1, true]);
        }
        await complete(server, ...tasks.map((task) => done(task)));
      }
    }
  });

  test("several of different actions and queues get what is theirs", async () => {
    await saveWorkflow(server, single("queued-gpu", { queue: "gpu" }));
    const request = { actions: ["other", "queued-gpu"], waitSeconds: 0.2 };
    const id = await startExecution(server, "queued-gpu");
    expect(await poll(server, request)).toEqual([]);
    const gpu = { ...request, queues: ["cpu", "gpu"], waitSeconds: 10 };
    const [task] = await poll(server, gpu);
    expect(task!.executionId).toBe(id);
    await complete(server, done(task!));
  });

  test("SSE shows each step of a retried action in order", async () => {
    const id = await startSingle("steps", { retry: { retryCount: 1, retryAfterSeconds: 0.01 } });
    await complete(server, failed(await pollOne(server, "steps"), "ONCE"));
    await untilEvent(server, id, ({ kind }) => kind === "attempt.failed");
    await complete(server, done(await pollOne(server, "steps")));
    await untilEnded(server, id);
    const { body } = await call(server, "GET", `/v1/executions/${id}/history`);
    expect(body.items.map(({ kind }: { kind: string }) => kind)).toEqual([
      "execution.started",
      "action.scheduled",
      "attempt.failed",
      "action.scheduled",
      "action.completed",
      "execution.completed",
    ]);
  });
});
