/** Names as callers choose them: one rule wherever a name comes in, and each name can be reached. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import * as v from "valibot";
import { allRoutes } from "../../src/api/rest/routes.ts";
import { newKeySchema } from "../../src/api/schemas.ts";
import { TaskService } from "../../src/gen/legacy/task_service_pb.ts";
import { reservedWorkflowNames } from "../../src/model/names.ts";
import { Plans } from "../../src/runtime/catalogue/plans.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import {
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
} from "../support/orchy.ts";

const store = new MemoryStore({ partitions: 4 });
let server: TestServer;

beforeAll(async () => {
  server = await startTestServer({ parts: { store } });
});
afterAll(() => server.remove());

const rpc = (method: string, body: object) =>
  call(server, "POST", `/orchy.v1.WorkerService/${method}`, body);

const definitionOf = (name: string, action: unknown) => ({
  name,
  rootAction: "one",
  actions: [{ id: "one", type: "user", name: action }],
});

const readable = [
  ...["a/b", "/", "//", "mail.send/v2/", "%2F", "a b", "?x=1&y#z", "x,y\\", "-", "...", ".hidden"],
  ...[
    "Überweisung prüfen",
    "請求書/送信",
    "👩‍🚀",
    '"quoted"',
    "{name}",
    "versions",
    "n".repeat(128),
  ],
];

describe("of user actions", () => {
  test.each(readable)("%s: registered, read, listed, polled and settled", async (name) => {
    const path = `/v1/actions/${encodeURIComponent(name)}`;
    await saveWorkflow(server, definitionOf("named", name));
    const id = await startExecution(server, "named");
    expect((await call(server, "PUT", path, { retryCount: 1 })).body).toEqual({
      name,
      retryCount: 1,
    });
    expect((await rpc("RegisterActions", { actions: [{ name, retryCount: 2 }] })).status).toBe(200);
    const waiting = {
      definition: { name, retryCount: 2 },
      queued: 1,
      queues: [{ queue: "default" }],
    };
    expect((await call(server, "GET", path)).body).toMatchObject(waiting);
    expect(
      (await call(server, "GET", `/metadata/action/${encodeURIComponent(name)}`)).body,
    ).toMatchObject({
      name,
      retry_count: 2,
    });
    const [task] = (await rpc("Poll", { actions: [name] })).body.tasks;
    expect(task).toMatchObject({ executionId: id, action: name });
    const { body } = await rpc("Complete", { results: [{ token: task.token, output: name }] });
    expect(body.results[0].status).toBe("RESULT_STATUS_ACCEPTED");
    expect((await call(server, "GET", `/v1/executions/${id}/result?wait=20`)).body.result).toBe(
      name,
    );
  });

  test("their list is paged by any of them, and shows their queues", async () => {
    const found: string[] = [];
    let cursor: string | undefined;
    do {
      const more: string = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const { body } = await call(server, "GET", `/v1/actions?limit=3${more}`);
      for (const { definition } of body.items) found.push(definition.name);
      cursor = body.cursor;
    } while (cursor !== undefined);
    expect(found.toSorted()).toEqual(readable.toSorted());
  });

  const wrong = ["", ".", "..", "a\nb", "\u0000", "a\u0085", "n".repeat(129), 7, null];
  test.each(wrong)("refused wherever it comes in: %j", async (name) => {
    const saved = await call(server, "POST", "/v1/workflows", definitionOf("wrong", name));
    expect([saved.status, saved.body.error.details[0].pointer]).toEqual([422, "/actions/0/name"]);
    const old = await call(server, "POST", "/metadata/action", { name });
    expect(old.status).toBe(422);
    const key = { name: "k", scopes: ["worker"], actions: [name] };
    expect(v.is(newKeySchema, key)).toBe(false);
    if (typeof name !== "string") return;
    expect((await rpc("RegisterActions", { actions: [{ name }] })).status).toBe(400);
    const baseUrl = `http://127.0.0.1:${server.grpcPort}`;
    const tasks = createClient(TaskService, createGrpcTransport({ baseUrl }));
    await expect(tasks.saveTaskDef({ name })).rejects.toThrow("without control characters");
    // What an earlier version has saved under this name must end.
    const isOld = name.startsWith(".");
    expect((await rpc("Poll", { actions: [name] })).status).toBe(isOld ? 200 : 400);
    if (name === "" || isOld) return;
    const put = await call(server, "PUT", `/v1/actions/${encodeURIComponent(name)}`, {});
    expect([put.status, put.body.error.details[0].pointer]).toEqual([400, "{name}"]);
  });

  test("halves of characters are refused", async () => {
    const half =
      '{"name":"half","rootAction":1,"actions":[{"id":1,"type":"user","name":"a\\ud800"}]}';
    expect((await call(server, "POST", "/v1/workflows", half)).status).toBe(422);
    expect((await call(server, "POST", "/metadata/action", '{"name":"\\udfff"}')).status).toBe(422);
  });

  test("a queue and an action cannot be named so that they mean another pair", async () => {
    await saveWorkflow(server, definitionOf("pair", "secret/task"));
    await startExecution(server, "pair");
    const riding = await rpc("Poll", { actions: ["task"], queues: ["default/secret"] });
    expect([riding.status, riding.body.message]).toEqual([
      400,
      expect.stringContaining("/queues/0"),
    ]);
    const own = await rpc("Poll", { actions: ["secret/task"], queues: ["default"] });
    expect(own.body.tasks).toHaveLength(1);
  });
});

describe("of workflows", () => {
  test("no parameter of a route is shadowed by a name that can be saved", () => {
    const routes = allRoutes().map(({ path }) => path.split("/"));
    const isParameter = (segment: string) => segment.startsWith("{");
    const shadowing = new Set<string>();
    for (const own of routes.filter((one) => one.some(isParameter))) {
      for (const other of routes.filter(({ length }) => length === own.length)) {
        const meets = own.every(
          (one, i) => one === other[i] || isParameter(one) || isParameter(other[i]!),
        );
        if (!meets) continue;
        for (const [i, segment] of own.entries()) {
          if (isParameter(segment) && !isParameter(other[i]!)) shadowing.add(other[i]!);
        }
      }
    }
    expect([...shadowing]).toEqual([...reservedWorkflowNames]);
  });

  test("a reserved one is refused over all routes", async () => {
    for (const name of reservedWorkflowNames) {
      for (const path of [
        "/v1/workflows",
        "/v1/workflows/validate",
        "/workflow",
        "/metadata/workflow",
      ]) {
        const { status, body } = await call(server, "POST", path, definitionOf(name, "a"));
        expect([path, status]).toEqual([path, 422]);
        expect(JSON.stringify(body)).toContain("reserved");
      }
    }
  });

  test("one that was saved before it was reserved is read, started and deleted", async () => {
    const definition = { ...definitionOf("validate", "a"), onSuccess: "NOOP" } as never;
    await new Plans(store).save(definition, 1);
    const path = "/v1/workflows/validate";
    expect((await call(server, "GET", path)).body).toMatchObject({ name: "validate", version: 1 });
    expect((await call(server, "GET", `${path}/versions`)).body.items).toHaveLength(1);
    expect((await call(server, "GET", "/workflow/validate")).status).toBe(200);
    await startExecution(server, "validate");
    const refused = await call(server, "PUT", path, {});
    expect([refused.status, refused.body.error.allow]).toEqual([405, "POST, GET, DELETE, HEAD"]);
    expect((await call(server, "DELETE", path)).status).toBe(204);
    expect((await call(server, "GET", path)).status).toBe(410);
  });
});
