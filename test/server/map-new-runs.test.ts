/** What becomes of a map in a new run of its execution, over REST. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";
import { complete, done, failed, poll, pollOne, single, type Task } from "./calls.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.remove());

const operate = (id: string, operation: string, body: object = {}) =>
  call(server, "POST", `/v1/executions/${id}/${operation}`, body);

describe("retry of the child of an item", () => {
  const state = async (id: string) => (await call(server, "GET", `/v1/executions/${id}`)).body;
  const until = async (id: string, status: string) => {
    for (;;) {
      const body = await state(id);
      if (body.status === status) return body;
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  type Item = { index: number; status: string; child?: string };
  const itemsOf = async (id: string): Promise<Item[]> =>
    (await call(server, "GET", `/v1/executions/${id}/actions/m/items`)).body.items;
  const mapping = (maxConcurrency: number) => ({
    name: "mapped",
    rootAction: "m",
    actions: [
      {
        id: "m",
        type: "system",
        name: "map",
        items: "$.input",
        workflow: "item",
        parameters: { n: "$.item" },
        tolerate: 1,
        maxConcurrency,
      },
    ],
  });
  /** The task of the next item that begins, in any order. */
  const taskOf = async (tasks: Map<number, { token: string }>, n: number) => {
    while (!tasks.has(n)) {
      const task = await pollOne(server, "item");
      tasks.set(task.parameters.n, task);
    }
    const task = tasks.get(n)!;
    tasks.delete(n);
    return task;
  };

  test("its map waits for it, other failures stand, and what was cancelled begins anew", async () => {
    await saveWorkflow(server, single("item", { parameters: { n: "$.input.n" } }));
    await saveWorkflow(server, mapping(4));
    await saveWorkflow(server, {
      name: "above",
      rootAction: "c",
      actions: [
        { id: "c", type: "system", name: "workflow", workflow: "mapped", parameters: "$.input" },
      ],
    });
    const above = await startExecution(server, "above", [0, 1, 2, 3, 4]);
    const tasks = new Map<number, { token: string }>();
    await complete(server, done(await taskOf(tasks, 0), "zero"));
    await complete(server, failed(await taskOf(tasks, 1), "NO", false));
    await complete(server, failed(await taskOf(tasks, 2), "NO", false));
    const ended = await until(above, "FAILED");
    const map = ended.actions[0].child;
    const before = await itemsOf(map);
    expect(before.slice(0, 3).map(({ status }) => status)).toEqual([
      "COMPLETED",
      "FAILED",
      "FAILED",
    ]);
    // Their tasks must not be taken for those of the new run.
    for (const { child } of before.slice(3)) await until(child!, "CANCELLED");
    expect((await operate(before[1]!.child!, "retry")).body.status).toBe("RUNNING");
    for (const id of [map, above]) expect(await until(id, "RUNNING")).toMatchObject({ run: 2 });
    tasks.clear();
    for (const n of [3, 4]) await complete(server, done(await taskOf(tasks, n), `new ${n}`));
    const open = await itemsOf(map);
    expect(open.map(({ status }) => status).slice(0, 3)).toEqual([
      "COMPLETED",
      "WAITING",
      "FAILED",
    ]);
    expect([open[1]!.child, open[2]!.child]).toEqual([before[1]!.child, before[2]!.child]);
    await complete(server, done(await taskOf(tasks, 1), "one"));
    const end = await untilEnded(server, above);
    expect([end.status, end.run]).toEqual(["COMPLETED", 2]);
    const { results, failures } = end.result;
    expect(results).toEqual(["zero", "one", null, "new 3", "new 4"]);
    expect(failures).toMatchObject([{ index: 2, error: { code: "CHILD_FAILED" } }]);
  });
});

describe("rerun of a paused execution with an open map", () => {
  const rerunning = (name: string, map: object) => ({
    name,
    rootAction: "list",
    actions: [
      { id: "list", type: "user", name: `list-${name}`, next: { default: "m" } },
      { id: "m", type: "system", name: "map", items: "$.list.output", tolerate: "100%", ...map },
    ],
  });
  const list = (count: number) => Array.from({ length: count }, (_, n) => ({ n }));
  const statusOf = async (id: string) =>
    (await call(server, "GET", `/v1/executions/${id}`)).body.status;

  test("drops tasks and records of its items, and begins it anew", async () => {
    await saveWorkflow(server, rerunning("tasks", { action: "piece" }));
    const id = await startExecution(server, "tasks");
    await complete(server, done(await pollOne(server, "list-tasks"), list(300)));
    const old: Task[] = [];
    while (old.length < 100)
      old.push(...(await poll(server, { actions: ["piece"], maxTasks: 50 })));
    await complete(server, ...old.slice(0, 20).map((task) => done(task, "old".repeat(200))));
    await operate(id, "pause");
    const answer = await operate(id, "rerun", { action: "list" });
    expect([answer.status, answer.body.status]).toEqual([200, "RUNNING"]);
    await complete(server, done(await pollOne(server, "list-tasks"), list(30)));
    const now: Task[] = [];
    while (now.length < 30) now.push(...(await poll(server, { actions: ["piece"], maxTasks: 50 })));
    expect(now.map(({ parameters }) => parameters.n).sort((a, b) => a - b)).toEqual(
      list(30).map(({ n }) => n),
    );
    expect(await complete(server, done(old[50]!, "late"))).toEqual(["STALE"]);
    await complete(server, ...now.map((task) => done(task, `new ${task.parameters.n}`)));
    const end = await untilEnded(server, id);
    expect([end.status, end.run]).toEqual(["COMPLETED", 2]);
    expect(end.result).toEqual({ results: list(30).map(({ n }) => `new ${n}`), failures: [] });
    const path = `/v1/executions/${id}/actions/m/items?limit=100`;
    expect((await call(server, "GET", path)).body.items).toHaveLength(30);
  });

  test("cancels the children of its items, and starts others", async () => {
    await saveWorkflow(server, single("part"));
    await saveWorkflow(server, rerunning("children", { workflow: "part" }));
    const id = await startExecution(server, "children");
    await complete(server, done(await pollOne(server, "list-children"), list(60)));
    const childrenOf = async (count: number) => {
      for (;;) {
        const { body } = await call(server, "GET", `/v1/executions?parent=${id}&limit=200`);
        if (body.items.length >= count) return body.items as { id: string }[];
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const before = await childrenOf(60);
    await operate(id, "pause");
    expect((await operate(id, "rerun", { action: "m" })).body.status).toBe("RUNNING");
    for (const child of before) {
      while ((await statusOf(child.id)) !== "CANCELLED")
        await new Promise((resolve) => setImmediate(resolve));
    }
    for (let tasks = 0; tasks < 60; tasks++) {
      await complete(server, done(await pollOne(server, "part"), "new"));
    }
    const end = await untilEnded(server, id);
    expect([end.status, end.run]).toEqual(["COMPLETED", 2]);
    expect(end.result.results).toEqual(list(60).map(() => "new"));
    expect(await childrenOf(120)).toHaveLength(120);
  });
});
