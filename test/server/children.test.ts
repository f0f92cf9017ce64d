/**
 * Executions with children, through REST: on SQLite, and on a Redis that two servers share. What a
 * parent leaves behind is looked for where it would be: nothing that it waits for, nothing that goes on.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { childIdOf } from "../../src/model/child.ts";
import type { WorkflowDefinition } from "../../src/model/definition.ts";
import { Plans } from "../../src/runtime/catalogue/plans.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { start, t0 } from "../store/conformance/subject.ts";
import {
  type Answer,
  call,
  createWorker,
  type Reachable,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";
import { type ServerProcess, startProcess } from "../support/process.ts";
import { type RedisServer, redisMissing, startRedis, until } from "../support/redis.ts";
import { complete, done, pollOne } from "./calls.ts";

const system = (id: string, name: string, rest: object = {}) => ({
  id,
  type: "system",
  name,
  ...rest,
});
const flow = (name: string, actions: readonly object[], rest: object = {}) => ({
  name,
  rootAction: "a",
  actions,
  ...rest,
});
const work = (name: string) => flow(name, [{ id: "a", type: "user", name }]);
const runs = (name: string, workflow: string, action: object = {}) =>
  flow(name, [system("a", "workflow", { workflow, parameters: "$.input", ...action })]);

const read = async (server: Reachable, id: string): Promise<Answer["body"]> =>
  (await call(server, "GET", `/v1/executions/${id}`)).body;

/** The child of the action `a`, once it is there. */
async function childOf(server: Reachable, id: string): Promise<string> {
  const { actions } = await read(server, id);
  const { child } = actions.find((action: { id: string }) => action.id === "a");
  await until(async () => (await call(server, "GET", `/v1/executions/${child}`)).status === 200);
  return child;
}

const stores = [
  ["SQLite", async () => undefined],
  ["Redis", startRedis],
] as const;

describe.each(stores)("on %s", (name, startStore) => {
  const isMissing = name === "Redis" && redisMissing !== undefined;
  let redis: RedisServer | undefined;
  let servers: readonly TestServer[];
  let server: TestServer;
  let other: TestServer;

  beforeAll(async () => {
    if (isMissing) return;
    redis = await startStore();
    const store = redis && { store: `redis://127.0.0.1:${redis.port}` };
    servers = redis
      ? [await startTestServer(store), await startTestServer(store)]
      : [await startTestServer()];
    server = servers[0]!;
    other = servers.at(-1)!;
    await saveWorkflow(server, work("leaf"));
    await saveWorkflow(server, runs("middle", "leaf"));
    await saveWorkflow(server, runs("top", "middle"));
  }, 60_000);
  afterAll(async () => {
    for (const one of servers ?? []) await one.remove();
    await redis?.stop();
  });

  test.skipIf(isMissing)(
    "a result comes up through three levels, and each knows its parent",
    async () => {
      const top = await startExecution(server, "top", { n: 1 });
      const task = await pollOne(other, "leaf");
      const middle = await childOf(other, top);
      expect(await read(server, middle)).toMatchObject({
        workflow: "middle",
        parent: { id: top, action: "a" },
        input: { n: 1 },
      });
      expect(await childOf(server, middle)).toBe(task.executionId);
      expect(task).toMatchObject({ parentExecutionId: middle, parentActionId: "a" });
      await complete(other, done(task));
      const ended = await untilEnded(server, top);
      expect([ended.status, ended.result]).toEqual(["COMPLETED", done(task).output]);
    },
  );

  test.skipIf(isMissing).each([
    ["cancel", "CANCELLED"],
    ["timeout", "TIMED_OUT"],
    ["failure", "FAILED"],
  ])("by a %s of the top all below it end, but not what is detached", async (how, status) => {
    const apart = system("apart", "workflow", { workflow: "middle", detach: true });
    const actions = [
      ...runs("top", "middle").actions,
      apart,
      { id: "f", type: "user", name: "fail" },
    ];
    const rootAction = ["a", "apart", "f"];
    const rest = { rootAction, ...(how === "timeout" && { timeoutSeconds: 1 }) };
    await saveWorkflow(server, flow(`end-${how}`, actions, rest));
    const top = await startExecution(server, `end-${how}`);
    const middle = await childOf(server, top);
    const leaf = await childOf(other, middle);
    const { executionId } = (await read(server, top)).data.apart.output;
    if (how === "cancel") await call(other, "POST", `/v1/executions/${top}/cancel`, {});
    if (how === "failure") {
      const { token } = await pollOne(other, "fail");
      const failure = { code: "NO", message: "no", retryable: false };
      await complete(other, { token, failure } as never);
    }
    expect((await untilEnded(server, top)).status).toBe(status);
    for (const id of [middle, leaf]) expect((await untilEnded(other, id)).status).toBe("CANCELLED");
    expect((await read(other, leaf)).cancelReason).toBe(`Its parent ${middle} is CANCELLED.`);
    expect((await read(other, executionId)).status).toBe("RUNNING");
    await call(other, "POST", `/v1/executions/${executionId}/cancel`, {});
  });

  test.skipIf(isMissing)(
    "a pause does not reach down; what the child brings waits for the resume",
    async () => {
      const next = { next: { default: "b" } };
      const actions = [
        ...runs("p", "leaf", next).actions,
        system("b", "workflow", { workflow: "leaf" }),
      ];
      await saveWorkflow(server, flow("pausing", actions));
      const id = await startExecution(server, "pausing");
      const child = await childOf(server, id);
      await call(server, "POST", `/v1/executions/${id}/pause`, {});
      for (;;) {
        const task = await pollOne(other, "leaf");
        await complete(other, done(task));
        if (task.executionId === child) break;
      }
      expect((await untilEnded(other, child)).status).toBe("COMPLETED");
      const statusOf = (body: Answer["body"], key: string) =>
        body.actions.find((action: { id: string }) => action.id === key).status;
      await until(async () => statusOf(await read(server, id), "a") === "COMPLETED");
      expect(statusOf(await read(server, id), "b")).toBe("PENDING");
      await call(server, "POST", `/v1/executions/${id}/resume`, {});
      expect(statusOf(await read(server, id), "b")).toBe("WAITING");
      await call(server, "POST", `/v1/executions/${id}/cancel`, {});
    },
  );

  test.skipIf(isMissing)(
    "a workflow that runs itself ends at the depth that is allowed",
    async () => {
      await saveWorkflow(server, runs("itself", "itself"));
      const { status, error } = await untilEnded(server, await startExecution(server, "itself"));
      expect([status, error.code]).toEqual(["FAILED", "CHILD_FAILED"]);
      expect(error.message).toContain("nested at most 20 deep");
      const all = await call(server, "GET", "/v1/executions?workflow=itself&limit=100");
      expect(all.body.items).toHaveLength(21);
    },
  );

  test.skipIf(isMissing)(
    "the newest version is run, and the one that an action names",
    async () => {
      const says = (text: string) => flow("says", [system("a", "transform", { parameters: text })]);
      await saveWorkflow(server, says("one"));
      await saveWorkflow(server, says("two"));
      await saveWorkflow(server, runs("newest", "says"));
      await saveWorkflow(server, runs("first", "says", { version: 1 }));
      const results = ["newest", "first"].map(async (workflow) => {
        return (await untilEnded(other, await startExecution(other, workflow))).result;
      });
      expect(await Promise.all(results)).toEqual(["two", "one"]);
    },
  );

  test.skipIf(isMissing)("a worker hears of the parent", async () => {
    const parents: unknown[] = [];
    const worker = createWorker(other).action(
      "leaf",
      (_input, { parent }) => void parents.push(parent),
    );
    await worker.start();
    const id = await startExecution(server, "middle");
    await untilEnded(server, id);
    await untilEnded(server, await startExecution(server, "leaf"));
    await worker.stop();
    const parent = { executionId: id, actionId: "a", index: undefined };
    expect(parents).toEqual([parent, undefined]);
  });

  test.skipIf(isMissing)("an inline definition is pinned with its parent, and nests", async () => {
    const inner = (text: string) => ({
      rootAction: "u",
      actions: [
        { id: "u", type: "user", name: "inside", parameters: { says: text, all: "$.input" } },
      ],
      output: { says: "$.u.output", at: "$.execution.version" },
    });
    const nested = (text: string) => {
      const held = runs("", "", { workflow: undefined, definition: inner(text) }).actions;
      return { rootAction: "a", actions: held };
    };
    const parent = (text: string) =>
      runs("pinned", "", { workflow: undefined, definition: nested(text), parameters: [1] });
    await saveWorkflow(server, parent("first"));
    const id = await startExecution(server, "pinned");
    const task = await pollOne(other, "inside");
    // What is saved meanwhile is for those that start later.
    await saveWorkflow(server, parent("second"));
    expect(task.parameters).toEqual({ says: "first", all: [1] });
    const child = await childOf(server, id);
    const body = await read(other, await childOf(server, child));
    expect([body.id, body.workflow, body.version, body.parent]).toEqual([
      task.executionId,
      "pinned",
      1,
      { id: child, action: "a" },
    ]);
    expect(body.actions).toHaveLength(1);
    const listed = async (query: string) =>
      (await call(other, "GET", `/v1/executions?${query}`)).body.items;
    // By its parent alone, as it is a part of that.
    expect(await listed(`parent=${id}`)).toMatchObject([{ id: child, parent: { id } }]);
    expect(await listed(`parent=${child}&status=RUNNING`)).toHaveLength(1);
    expect(await listed("workflow=pinned")).toMatchObject([{ id }]);
    await complete(other, done(task, "ok"));
    expect((await untilEnded(server, id)).result).toEqual({ says: "ok", at: 1 });
  });

  test.skipIf(isMissing)(
    "what is not there warns when it is saved, and fails when it runs",
    async () => {
      const saved = await call(server, "POST", "/v1/workflows", runs("astray", "leav"));
      expect(saved.body.warnings).toEqual([
        {
          pointer: "/actions/0/workflow",
          message:
            "There is no workflow leav. Did you mean leaf? It has to be saved before it is to run.",
        },
      ]);
      const { error } = await untilEnded(server, await startExecution(server, "astray"));
      expect(error).toEqual({
        code: "CHILD_FAILED",
        message: "No child can be started. There is no workflow leav. Did you mean leaf?",
        action: "a",
      });
    },
  );
});

test("a cancel that comes before the start leaves what the start finds: CANCELLED", async () => {
  const store = new MemoryStore({ partitions: 1 });
  await new Plans(store).save(work("leaf") as WorkflowDefinition, t0);
  // As if the outbox of a parent, which is gone since, had been read in the wrong order.
  const parent = { id: "gone", startedAt: t0, action: "a", handout: 3 };
  const child = { parent, nesting: 1, workflow: "leaf", version: 1 };
  const cancel = { ...child, type: "cancel-child", reason: "Its parent gone is FAILED." };
  const late = { ...child, type: "start-child", depth: 0, priority: 0, input: {} };
  const messages = [cancel, late].map((body, i) => ({ id: `${i}`, body: JSON.stringify(body) }));
  const { key } = await start(store, "source", { effects: { messages } });
  const server = await startTestServer({ parts: { store } });
  try {
    await until(async () => (await store.holdings(key)).messages.length === 0);
    const { status, cancelReason, actions } = await read(server, childIdOf(parent));
    expect([status, cancelReason]).toEqual(["CANCELLED", "Its parent gone is FAILED."]);
    expect(actions.map((action: { status: string }) => action.status)).toEqual(["PENDING"]);
  } finally {
    await server.remove();
  }
});

/** Parents with two children, and three more in a loop. */
async function saveFamilies(server: Reachable): Promise<void> {
  const first = system("a", "transform", {
    parameters: { n: "$.input.n" },
    next: { default: "w" },
  });
  const then = system("w", "delay", { delaySeconds: 0.2 });
  await saveWorkflow(server, flow("kid", [first, then], { output: "$.a.output.n" }));
  const kid = (id: string) => system(id, "workflow", { workflow: "kid", parameters: "$.input" });
  const loop = system("c", "loop", {
    workflow: "kid",
    while: { ref: "$.iteration", lt: 3 },
    maxIterations: 3,
    parameters: { n: "$.input.n" },
  });
  const actions = [kid("a"), kid("b"), loop];
  const output = ["$.a.output", "$.b.output", "$.c.output"];
  await saveWorkflow(server, {
    ...flow("family", actions, { output }),
    rootAction: actions.map(({ id }) => id),
  });
}

describe.each(stores)("killed on %s", (name, startStore) => {
  const isMissing = name === "Redis" && redisMissing !== undefined;

  test.skipIf(isMissing)(
    "no child is lost, and none is started twice",
    async () => {
      const folder = mkdtempSync(join(tmpdir(), "orchy-children-"));
      const redis = await startStore();
      const store = redis ? `redis://127.0.0.1:${redis.port}` : `sqlite:${folder}/orchy.db`;
      let server: ServerProcess = await startProcess(store);
      try {
        await saveFamilies(server);
        const families: string[] = [];
        for (let life = 0; life < 2; life++) {
          for (let n = 0; n < 20; n++) families.push(await startExecution(server, "family", { n }));
          server.child.kill("SIGKILL");
          await server.child.exited;
          server = await startProcess(store);
        }
        const ended = await Promise.all(families.map((id) => untilEnded(server, id)));
        const results = ended.map(({ status, result }) => ({ status, result }));
        expect(results).toEqual(
          families.map((_, i) => {
            const n = i % 20;
            return { status: "COMPLETED", result: [n, n, { iterations: 3, last: n }] };
          }),
        );
        let kids = 0;
        for (let cursor = ""; ; ) {
          const path = `/v1/executions?workflow=kid&limit=100${cursor && `&cursor=${cursor}`}`;
          const { body } = await call(server, "GET", path);
          kids += body.items.length;
          cursor = body.cursor;
          if (cursor === undefined) break;
        }
        expect(kids).toBe(5 * families.length);
      } finally {
        server.child.kill("SIGKILL");
        await server.child.exited;
        await redis?.stop();
        rmSync(folder, { recursive: true, force: true });
      }
    },
    90_000,
  );
});
