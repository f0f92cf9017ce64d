/** fork, over REST: what is taken over, what starts anew, and what is refused. */
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
import { complete, done, failed, pollOne, single } from "./calls.ts";
import { startUnsureServer } from "./unsure-store.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.remove());

const fork = (id: string, body: object | string, at: Reachable = server) =>
  call(at, "POST", `/v1/executions/${id}/fork`, body);

const get = async (id: string, at: Reachable = server) =>
  (await call(at, "GET", `/v1/executions/${id}`)).body;

const codeOf = ({ status, body }: Answer) => [status, body.error?.code];

const statusesIn = (body: Answer["body"]) =>
  Object.fromEntries(body.actions.map(({ id, status }: Answer["body"]) => [id, status]));

const finish = async (action: string, output: unknown = {}, at: Reachable = server) =>
  expect(await complete(at, done(await pollOne(at, action), output))).toEqual(["ACCEPTED"]);

const user = (id: string, next?: string[], more: object = {}) => ({
  id,
  type: "user",
  name: id,
  retry: { retryCount: 0 },
  ...(next && { next: { default: next } }),
  ...more,
});

describe("a fork", () => {
  const actions = [
    user("first", ["second"], { onError: { default: "unused" } }),
    user("unused"),
    user("bad", ["unreached"], { onError: { default: "mended" } }),
    user("unreached"),
    user("mended", ["end"], { parameters: { why: "$.execution.error.code" } }),
    user("second", ["end"], { parameters: { n: "$.first.output.n" } }),
    { id: "wait", type: "system", name: "wait", event: "go", next: { default: ["end"] } },
    {
      id: "end",
      type: "system",
      name: "transform",
      parameters: { first: "$.first.output.n", second: "$.second.output", why: "$.bad.error.code" },
    },
  ];
  const roots = ["first", "bad", "wait"];

  beforeAll(() => saveWorkflow(server, { name: "forked", rootAction: roots, actions }));

  test("takes over what was decided before the action, and starts all else anew", async () => {
    const id = await startExecution(server, "forked", { x: 1 }, { correlationId: "c-1" });
    await complete(server, failed(await pollOne(server, "bad"), "NO", false));
    await finish("mended");
    await finish("first", { n: 1 });
    await finish("second", "old");
    await call(server, "POST", `/v1/executions/${id}/signal`, { event: "other" });
    const before = await get(id);
    const body = { action: "second", outputs: { first: { n: 2 } }, reason: "a bug" };
    const answer = await fork(id, body);
    expect([answer.status, answer.body.created, answer.body.status]).toEqual([
      202,
      true,
      "RUNNING",
    ]);
    const forkId = answer.body.id;
    expect(await get(id)).toEqual(before);

    const forked = await get(forkId);
    expect(statusesIn(forked)).toEqual({
      ...{ first: "COMPLETED", unused: "SKIPPED", bad: "FAILED", unreached: "SKIPPED" },
      ...{ mended: "COMPLETED", second: "SCHEDULED", wait: "WAITING", end: "PENDING" },
    });
    expect(forked).toMatchObject({ input: { x: 1 }, correlationId: "c-1", run: 1 });
    expect(forked.bufferedSignals).toEqual([]);
    const { items } = (await call(server, "GET", `/v1/executions/${forkId}/history`)).body;
    const details = { of: id, action: "second", run: 1, reason: "a bug" };
    expect(items[1]).toMatchObject({ kind: "execution.forked", details });

    const task = await pollOne(server, "second");
    expect([task.executionId, task.parameters]).toEqual([forkId, { n: 2 }]);
    await complete(server, done(task, "new"));
    await call(server, "POST", `/v1/executions/${forkId}/signal`, { event: "go" });
    expect((await untilEnded(server, forkId)).result).toEqual({
      ...{ first: 2, second: "new", why: "NO" },
    });
    expect((await get(id)).status).toBe("RUNNING");
    await call(server, "POST", `/v1/executions/${id}/cancel`, {});
  });

  test("of another version needs what it takes over to be equal", async () => {
    const id = await startExecution(server, "forked");
    await complete(server, failed(await pollOne(server, "bad"), "NO", false));
    await finish("mended");
    await finish("first", { n: 1 });
    await finish("second", "old");
    const change = (key: string, more: object) =>
      actions.map((action) => (action.id === key ? { ...action, ...more } : action));
    const save = async (changed: object[]) =>
      (
        await call(server, "POST", "/v1/workflows", {
          name: "forked",
          rootAction: roots,
          actions: changed,
        })
      ).body.version as number;
    const unequal = await save(change("first", { priority: 3 }));
    const answer = await fork(id, { action: "second", version: unequal });
    expect(codeOf(answer)).toEqual([409, "INVALID_STATE"]);
    expect(answer.body.error.message).toStartWith(
      `The action first is another one in version ${unequal}`,
    );
    const without = await save([
      ...change("bad", { onError: { default: "end" } }).filter((one) => one.id !== "mended"),
    ]);
    expect((await fork(id, { action: "second", version: without })).body.error.message).toStartWith(
      "The action bad is another one",
    );
    const none = await fork(id, { action: "second", version: 99 });
    expect(codeOf(none)).toEqual([404, "NOT_FOUND"]);

    // Its order differs, so the places of actions do, and what comes after the cut is another.
    const mended = [...change("second", { parameters: { n: "$.bad.error.code" } })].reverse();
    const version = await save(mended);
    const { body } = await fork(id, { action: "second", version });
    const task = await pollOne(server, "second");
    expect([task.executionId, task.parameters]).toEqual([body.id, { n: "NO" }]);
    await complete(server, done(task, "new"));
    await call(server, "POST", `/v1/executions/${body.id}/signal`, { event: "go" });
    const ended = await untilEnded(server, body.id);
    expect([ended.version, ended.result.second]).toEqual([version, "new"]);
    const { body: cause } = await call(server, "GET", `/v1/executions/${body.id}`);
    const unreached = cause.actions.find((action: { id: string }) => action.id === "unreached");
    expect(unreached).toMatchObject({ status: "SKIPPED", skippedBy: "failure" });
    await call(server, "POST", `/v1/executions/${id}/cancel`, {});
  });

  test("begins in every status of the execution", async () => {
    const reached: Readonly<Record<string, (id: string) => Promise<unknown>>> = {
      RUNNING: async () => {},
      PAUSED: (id) => call(server, "POST", `/v1/executions/${id}/pause`),
      COMPLETED: () => finish("a"),
      FAILED: async () => complete(server, failed(await pollOne(server, "a"), "NO", false)),
      CANCELLED: (id) => call(server, "POST", `/v1/executions/${id}/cancel`),
      TIMED_OUT: (id) => untilEnded(server, id),
    };
    for (const [status, reach] of Object.entries(reached)) {
      const timeout = status === "TIMED_OUT" && { timeoutSeconds: 0.01 };
      await saveWorkflow(server, { ...single("a"), name: `fork-${status}`, ...timeout });
      const id = await startExecution(server, `fork-${status}`);
      await reach(id);
      expect((await get(id)).status).toBe(status);
      const { body } = await fork(id, { action: "a" });
      for (const one of [id, body.id]) await call(server, "POST", `/v1/executions/${one}/cancel`);
      expect((await get(body.id)).workflow).toBe(`fork-${status}`);
    }
  });
});

describe("a fork is refused", () => {
  test("from what is not there or has not run, and with outputs of what is not taken over", async () => {
    await saveWorkflow(server, {
      name: "refused",
      rootAction: ["a", "t"],
      actions: [
        user("a", ["b"]),
        user("b"),
        user("t", ["end"]),
        { id: "end", type: "system", name: "terminate", status: "COMPLETED" },
      ],
    });
    const id = await startExecution(server, "refused");
    expect(codeOf(await fork(id, { action: "none" }))).toEqual([404, "NOT_FOUND"]);
    expect(codeOf(await fork("none", { action: "a" }))).toEqual([404, "NOT_FOUND"]);
    const early = await fork(id, { action: "b" });
    expect(codeOf(early)).toEqual([409, "INVALID_STATE"]);
    expect(early.body.error).toMatchObject({ status: "RUNNING", actionStatus: "PENDING" });
    const listed = await fork(id, { action: "a", outputs: [] });
    expect([...codeOf(listed), listed.body.error.details]).toEqual([
      400,
      "INVALID_ARGUMENT",
      [{ pointer: "/outputs", message: "It must be an object, not an array." }],
    ]);
    const outputs = await fork(id, { action: "a", outputs: { t: 1 } });
    expect([...codeOf(outputs), outputs.body.error.details]).toEqual([
      ...[400, "INVALID_ARGUMENT"],
      [{ pointer: "/outputs/t", message: "The action t is not taken over with an output." }],
    ]);
    expect((await fork(id, {})).body.error.details[0].pointer).toBe("/action");
    await finish("t");
    const terminated = await fork(id, { action: "a" });
    expect(codeOf(terminated)).toEqual([409, "INVALID_STATE"]);
    expect(terminated.body.error.message).toContain("end has terminated");
  });

  test("beside a server of an earlier version", async () => {
    const store = Object.assign(new MemoryStore({ partitions: 1 }), { format: () => 3 });
    const at = await startTestServer({ parts: { store } });
    try {
      await saveWorkflow(at, single("early"));
      const id = await startExecution(at, "early");
      expect(codeOf(await fork(id, { action: "a" }, at))).toEqual([503, "UNAVAILABLE"]);
    } finally {
      await at.remove();
    }
  });

  test("where it would take over too much", async () => {
    const large = "x".repeat(2_900_000);
    const many = ["l0", "l1", "l2"];
    await saveWorkflow(server, {
      name: "large",
      rootAction: "l0",
      actions: [...many.map((id, i) => user(id, [many[i + 1] ?? "end"])), user("end")],
    });
    const id = await startExecution(server, "large");
    for (const name of many) await finish(name, large);
    expect(codeOf(await fork(id, { action: "end" }))).toEqual([413, "TOO_LARGE"]);
    const { body } = await fork(id, { action: "end", outputs: { l1: 1 } });
    expect((await get(body.id)).actions[2].output).toHaveLength(large.length);
    for (const one of [id, body.id]) await call(server, "POST", `/v1/executions/${one}/cancel`);
  });
});

test("an operationId or executionId makes its repeat harmless; numbers stay exact", async () => {
  await saveWorkflow(server, {
    name: "ids",
    rootAction: "a",
    actions: [user("a", ["b"]), user("b")],
  });
  const id = await startExecution(server, "ids");
  await finish("a");
  for (const chosen of ['"operationId":"o"', '"executionId":"chosen"']) {
    const body = `{"action":"b","outputs":{"a":{"n":12345678901234567890}},${chosen}}`;
    const first = await fork(id, body);
    const second = await fork(id, body);
    expect([first.body.created, second.body.created]).toEqual([true, false]);
    expect(second.body.id).toBe(first.body.id);
    const other = await fork(id, body.replace('"n":1', '"n":2'));
    expect(codeOf(other)).toEqual([409, "CONFLICT"]);
    const response = await fetch(`${server.url}/v1/executions/${first.body.id}`);
    expect(await response.text()).toContain('{"n":12345678901234567890}');
  }
});

test("a fork whose start lost its answer is there once", async () => {
  const unsure = await startUnsureServer(2);
  try {
    await saveWorkflow(unsure, single("unsure"));
    for (let round = 0; round < 4; round++) {
      const id = await startExecution(unsure, "unsure", { round });
      const body = { action: "a", operationId: "o" };
      let answer = await fork(id, body, unsure);
      while (answer.status === 503) answer = await fork(id, body, unsure);
      expect((await fork(id, body, unsure)).body.id).toBe(answer.body.id);
    }
    const { body } = await call(unsure, "GET", "/v1/executions?workflow=unsure");
    expect([body.items.length, unsure.lost() > 0]).toEqual([8, true]);
  } finally {
    await unsure.remove();
  }
});
