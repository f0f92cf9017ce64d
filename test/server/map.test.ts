/** map through a whole server: workers, REST, a server that is killed. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "valibot";
import { itemsSchema } from "../../src/api/rest/response-schemas.ts";
import type { TaskContext } from "../../src/worker/index.ts";
import {
  call,
  createWorker,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";
import { freePort } from "../support/ports.ts";
import { startProcess } from "../support/process.ts";
import { until } from "../support/redis.ts";

function mapping(name: string, map: object, last: unknown = "$.all.output"): object {
  return {
    name,
    rootAction: "all",
    actions: [{ id: "all", type: "system", name: "map", items: "$.input.list", ...map }],
    output: last,
  };
}

describe("map", () => {
  let server: TestServer;
  let worker: ReturnType<typeof createWorker>;
  const seen: { input: unknown; index: unknown; item: unknown }[] = [];

  beforeAll(async () => {
    server = await startTestServer();
    worker = createWorker(server);
    const note = (input: unknown, { index, item }: TaskContext) => {
      seen.push({ input, index, item });
      return { got: index };
    };
    worker.action("note", { concurrency: 50 }, note);
    worker.action("pick", { concurrency: 50, retryCount: 0 }, async ({ fails }, { index }) => {
      if (fails.includes(index)) throw Object.assign(new Error("no"), { code: "PICKED" });
      return index;
    });
    await worker.start();
  });
  afterAll(async () => {
    await worker.stop();
    await server.remove();
  });

  async function run(definition: object, input: unknown) {
    await saveWorkflow(server, definition);
    const id = await startExecution(server, (definition as { name: string }).name, input);
    return { id, ended: await untilEnded(server, id) };
  }

  test("workers know the item and its index, and results are in order", async () => {
    const list = Array.from({ length: 120 }, (_, n) => ({ n }));
    const parameters = { double: "{$.item.n}{$.item.n}" };
    const { ended } = await run(mapping("known", { action: "note", parameters }), { list });
    expect(ended.result.results).toEqual(list.map(({ n }) => ({ got: n })));
    expect(seen).toHaveLength(120);
    for (const { input, index, item } of seen) {
      expect([input, item]).toEqual([{ double: `${index}${index}` }, { n: index }]);
    }
  });

  test("a search that has looked at many items says that it is incomplete", async () => {
    const list = Array(6_000).fill(0);
    await saveWorkflow(server, mapping("sparse", { action: "nobody", maxConcurrency: 1 }));
    const id = await startExecution(server, "sparse", { list });
    const path = `/v1/executions/${id}/actions/all/items?status=COMPLETED`;
    const first = await call(server, "GET", path);
    expect(first.body).toMatchObject({ items: [], incomplete: true });
    const rest = await call(server, "GET", `${path}&cursor=${first.body.cursor}`);
    expect(rest.body).toEqual({ items: [] });
    for (const { body } of [first, rest]) parse(itemsSchema, body);
  });

  test("items are read page by page, and by status", async () => {
    const list = Array.from({ length: 70 }, (_, n) => n);
    const parameters = { fails: "$.input.fails" };
    const { id, ended } = await run(
      mapping("paged", { action: "pick", parameters, tolerate: "10%" }),
      { list, fails: [3, 64] },
    );
    const failures = [3, 64].map((index) => ({ index, error: { code: "PICKED", message: "no" } }));
    expect(ended.result.failures).toEqual(failures);
    const path = `/v1/executions/${id}/actions/all/items`;
    const first = await call(server, "GET", `${path}?limit=40`);
    expect(first.body.items).toHaveLength(40);
    expect(first.body.items[1]).toMatchObject({ index: 1, status: "COMPLETED", output: 1 });
    const second = await call(server, "GET", `${path}?limit=40&cursor=${first.body.cursor}`);
    expect(second.body.items.map(({ index }: { index: number }) => index)).toEqual(
      Array.from({ length: 30 }, (_, n) => 40 + n),
    );
    expect(second.body.cursor).toBeUndefined();
    const failed = await call(server, "GET", `${path}?status=FAILED&after=3`);
    expect(failed.body.items).toEqual([
      expect.objectContaining({ ...failures[1], status: "FAILED", attempt: 1 }),
    ]);
    const { body } = await call(server, "GET", `/v1/executions/${id}`);
    expect(body.actions[0].items).toEqual({ count: 70, open: 0, completed: 68, failed: 2 });
    const none = await call(server, "GET", `/v1/executions/${id}/actions/other/items`);
    expect([none.status, none.body.error.code]).toEqual([404, "NOT_FOUND"]);
  });

  test("a workflow, or an inline definition, for each item", async () => {
    await saveWorkflow(server, {
      name: "child-of-map",
      rootAction: "note",
      actions: [{ id: "note", type: "user", name: "pick", parameters: { fails: [] } }],
      output: "$.input.n",
    });
    const list = Array.from({ length: 30 }, (_, n) => ({ n }));
    const definition = {
      rootAction: "one",
      actions: [{ id: "one", type: "system", name: "transform", parameters: "$.input" }],
    };
    const results = list.map(({ n }) => n);
    const named = await run(mapping("named", { workflow: "child-of-map" }), { list });
    expect(named.ended.result).toEqual({ results, failures: [] });
    const inline = mapping("inline", { definition, maxConcurrency: 3, parameters: "$.item.n" });
    const { ended } = await run(inline, { list });
    expect(ended.result).toEqual({ results, failures: [] });
    const path = `/v1/executions/${named.id}/actions/all/items?limit=1`;
    const [first] = (await call(server, "GET", path)).body.items;
    const child = await call(server, "GET", `/v1/executions/${first.child}`);
    expect(child.body).toMatchObject({
      workflow: "child-of-map",
      parent: { id: named.id, action: "all", item: 0 },
    });
  });

  test("how many items run is changed by hand, and wrong numbers are refused", async () => {
    const definition = mapping("changed", { action: "nobody", maxConcurrency: 2 });
    await saveWorkflow(server, definition);
    const list = Array.from({ length: 9 }, () => ({}));
    const id = await startExecution(server, "changed", { list });
    const path = `/v1/executions/${id}/actions/all/max-concurrency`;
    const set = (body: object) => call(server, "POST", path, body);
    expect((await set({ maxConcurrency: 7 })).status).toBe(200);
    const { body } = await call(server, "GET", `/v1/executions/${id}`);
    expect(body.actions[0].items).toEqual({ count: 9, open: 7, completed: 0, failed: 0 });
    const refused = await set({ maxConcurrency: 0 });
    expect([refused.status, refused.body.error.details[0].pointer]).toEqual([
      400,
      "/maxConcurrency",
    ]);
    await call(server, "POST", `/v1/executions/${id}/cancel`);
    const late = await set({ maxConcurrency: 3 });
    expect([late.status, late.body.error.code]).toEqual([409, "INVALID_STATE"]);
  });

  test("what cannot be mapped says why", async () => {
    const big = "x".repeat(1_600_000);
    const doubled = { action: "note", parameters: { once: "$.item", twice: "$.item" } };
    const cases: [object, unknown, object][] = [
      [{ action: "note" }, { list: "abc" }, { code: "ITEMS_INVALID" }],
      [
        { action: "note" },
        {},
        { code: "ITEMS_INVALID", message: "items must find an array, not nothing." },
      ],
      [{ action: "note" }, { list: [1] }, { code: "ITEMS_FAILED" }],
      [
        doubled,
        { list: [big] },
        {
          code: "ITEMS_FAILED",
          details: { failed: 1, failures: [{ index: 0, error: { code: "TOO_LARGE" } }] },
        },
      ],
    ];
    for (const [place, [map, input, error]] of cases.entries()) {
      const { ended } = await run(mapping(`bad-${place}`, map), input);
      expect([ended.status, ended.error]).toEqual(["FAILED", expect.objectContaining({})]);
      expect(ended.error).toMatchObject({ action: "all", ...error });
    }
  });

  test("a result that is too large fails its item", async () => {
    const huge = createWorker(server);
    huge.action("huge", { retryCount: 0 }, async () => "x".repeat(3_200_000));
    await huge.start();
    const definition = mapping("huge", { action: "huge", parameters: {}, tolerate: 1 });
    const { ended } = await run(definition, { list: [1] });
    expect(ended.result).toMatchObject({ results: [null], failures: [{ index: 0 }] });
    await huge.stop();
  });

  test.each([
    [
      { tolerate: -1 },
      "/actions/0/tolerate",
      'It must be a number or a share such as "20%", not -1.',
    ],
    [{ tolerate: "120%" }, "/actions/0/tolerate", 'not "120%".'],
    [{ maxConcurrency: 0 }, "/actions/0/maxConcurrency", "1"],
    [{ items: [1, 2] }, "/actions/0/items", "It must be a reference"],
    [{ parameters: { a: "$.other.output" } }, "/actions/0/parameters/a", "unknown action"],
    [{ parameters: ["$.item"] }, "/actions/0/parameters", "It must be an object, or one reference"],
    [{ workflow: "w" }, "/actions/0", "exactly one of"],
  ])("%j is refused when saved", async (map, pointer, part) => {
    const definition = mapping("refused", { action: "note", ...map });
    const { status, body } = await call(server, "POST", "/v1/workflows", definition);
    expect(status).toBe(422);
    expect(body.error.details[0].pointer).toStartWith(pointer);
    expect(body.error.details[0].message).toContain(part);
  });
});

test("nothing is lost of a map when the server is killed in the middle", async () => {
  const folder = mkdtempSync(join(tmpdir(), "orchy-map-"));
  const http = freePort();
  const store = `sqlite:${folder}/orchy.db`;
  let child = (await startProcess(store, { http })).child;
  const server = { url: `http://127.0.0.1:${http}` };
  const count = 3_000;
  await saveWorkflow(server, mapping("killed", { action: "step", parameters: { n: "$.item" } }));
  const quiet = { debug() {}, info() {}, warn() {}, error() {} };
  const worker = createWorker(server, { logger: quiet });
  const ran = new Set<number>();
  worker.action("step", { concurrency: 100, timeoutSeconds: 5 }, async ({ n }) => {
    ran.add(n);
    return n;
  });
  await worker.start();
  const list = Array.from({ length: count }, (_, n) => n);
  const id = await startExecution(server, "killed", { list });
  for (const share of [0.2, 0.6]) {
    await until(async () => ran.size >= count * share);
    child.kill("SIGKILL");
    await child.exited;
    child = (await startProcess(store, { http })).child;
  }
  const ended = await untilEnded(server, id);
  expect(ended.status).toBe("COMPLETED");
  expect(ended.result).toEqual({ results: list, failures: [] });
  await worker.stop();
  child.kill("SIGTERM");
  await child.exited;
  rmSync(folder, { recursive: true, force: true });
}, 120_000);
