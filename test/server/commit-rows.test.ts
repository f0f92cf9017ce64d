/** Servers keep limits.commitRowsMax, also where a decision writes or deletes more than that. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import type { CommitRequest, CreateRequest } from "../../src/store/store.ts";
import { bounded, rowsOf } from "../support/bounded.ts";
import {
  call,
  createWorker,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";
import { hooked } from "./unsure-store.ts";

let server: TestServer;
let worker: ReturnType<typeof createWorker>;
let most = 0;

beforeAll(async () => {
  const count = (request: CommitRequest | CreateRequest) => {
    most = Math.max(most, rowsOf(request));
  };
  const store = hooked(bounded(new MemoryStore({ partitions: 4 })), {
    commit: (commit, _count, request) => {
      count(request);
      return commit(request);
    },
    create: (create, _count, request) => {
      count(request);
      return create(request);
    },
  });
  server = await startTestServer({ store: "memory:", parts: { store } });
  worker = createWorker(server);
  worker.action("work", { concurrency: 100 }, () => ({ done: true }));
  await worker.start();
});

afterAll(async () => {
  await worker.stop();
  await server.remove();
});

async function run(definition: { readonly name: string }, input: unknown = {}): Promise<string> {
  await saveWorkflow(server, definition);
  const id = await startExecution(server, definition.name, input);
  expect((await untilEnded(server, id)).status).toBe("COMPLETED");
  return id;
}

async function operate(id: string, operation: string, body: object): Promise<Answer> {
  const answer = await call(server, "POST", `/v1/executions/${id}/${operation}`, body);
  expect([200, 201, 202]).toContain(answer.status);
  return answer;
}

type Answer = Awaited<ReturnType<typeof call>>;

const transform = (id: string, more: object = {}) => {
  return { id, type: "system", name: "transform", parameters: { of: id }, ...more };
};

/** More outputs than a commit may delete. */
const wide = Array.from({ length: 150 }, (_, n) => `a${n}`);

test("maps of many items are cut in portions, and give their fields back", async () => {
  const items = Array.from({ length: 7_000 }, (_, n) => ({ n }));
  const map = { id: "all", type: "system", name: "map", items: "$.input", action: "nobody" };
  const first = { id: "go", type: "user", name: "work", next: { default: "all" } };
  await saveWorkflow(server, {
    name: "cut",
    rootAction: "go",
    actions: [first, { ...map, maxConcurrency: 5 }],
  });
  const id = await startExecution(server, "cut", items);
  const path = `/v1/executions/${id}/actions/all/items?limit=2`;
  const open = async () =>
    (await call(server, "GET", path)).body.items?.[0]?.status === "SCHEDULED";
  while (!(await open())) await Bun.sleep(5);
  await operate(id, "cancel", {});
  await untilEnded(server, id);
  await operate(id, "rerun", { action: "go" });
  while (!(await open())) await Bun.sleep(5);
  await operate(id, "cancel", {});
  expect((await untilEnded(server, id)).status).toBe("CANCELLED");
});

test("a rerun deletes many outputs, and a fork takes many over", async () => {
  const last = {
    id: "z",
    type: "user",
    name: "work",
    join: "all",
    parameters: { all: "$.a149.output" },
  };
  const roots = wide.map((id) => transform(id, { next: { default: "z" } }));
  const start = transform("s", { next: { default: wide } });
  const id = await run({
    name: "wide",
    rootAction: "s",
    actions: [start, ...roots, last],
  } as never);
  await operate(id, "rerun", { action: "s" });
  const again = await untilEnded(server, id);
  expect(again.status).toBe("COMPLETED");
  const outputs = again.actions.map((action: { output: unknown }) => action.output);
  expect(outputs.slice(1, -1)).toEqual(wide.map((of) => ({ of })));
  const { body } = await operate(id, "fork", { action: "z" });
  const forked = await untilEnded(server, body.id);
  expect(forked.status).toBe("COMPLETED");
  expect(forked.actions.map((action: { output: unknown }) => action.output)).toEqual(outputs);
});

test("many actions are skipped, or fail at their joins, at once", async () => {
  const skipped = Array.from({ length: 400 }, (_, n) => `s${n}`);
  const failing = Array.from({ length: 120 }, (_, n) => `j${n}`);
  const actions = [
    { id: "w", type: "user", name: "work", next: { default: ["b", ...failing] } },
    {
      ...{ id: "b", type: "system", name: "switch", expression: '$.input.go ?? "on"' },
      next: { on: "end", never: [skipped[0], ...failing] },
    },
    ...skipped.map((id, n) => transform(id, n < 399 ? { next: { default: skipped[n + 1] } } : {})),
    ...failing.map((id) => transform(id, { join: 2, optional: true })),
    transform("end"),
  ];
  await run({ name: "cascade", rootAction: "w", actions } as never);
});

test("hundreds of open tasks are dropped", async () => {
  const roots = Array.from({ length: 700 }, (_, n) => ({
    id: `t${n}`,
    type: "user",
    name: "nobody",
  }));
  const rootAction = roots.map(({ id }) => id);
  await saveWorkflow(server, { name: "dropped", rootAction, actions: roots });
  const id = await startExecution(server, "dropped", {});
  await operate(id, "pause", {});
  await operate(id, "resume", {});
  await operate(id, "cancel", {});
  expect((await untilEnded(server, id)).status).toBe("CANCELLED");
});

test("commits came near the bound", () => {
  expect(most).toBeGreaterThan(60);
});
