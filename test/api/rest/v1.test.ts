/** Every route of `/v1` as a caller uses it. Answers are also checked against their schemas. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { limits } from "../../../src/base/limits.ts";
import { call, startTestServer, type TestServer, work } from "./support.ts";
import { echo, greet, waiting } from "./workflows.ts";

let server: TestServer;
const get = (path: string) => call(server, "GET", path);
const post = (path: string, body?: unknown, headers?: Record<string, string>) =>
  call(server, "POST", path, body, headers);

beforeAll(async () => {
  server = await startTestServer();
  for (const definition of [echo, greet, waiting]) await post("/v1/workflows", definition);
});
afterAll(() => server.stop());

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/;

async function start(workflow: string, more: object = {}): Promise<string> {
  return (await post("/v1/executions", { workflow, ...more })).json.id;
}

describe("workflows", () => {
  test("are saved as versions; the same content again is the same version", async () => {
    const first = await post("/v1/workflows", { ...echo, name: "saved" });
    expect(first.status).toBe(201);
    expect(first.json).toMatchObject({ name: "saved", version: 1, created: true });
    const again = await post("/v1/workflows", { ...echo, name: "saved" });
    expect(again.status).toBe(200);
    expect(again.json).toMatchObject({ version: 1, created: false });
    const $schema = "http://localhost:8080/schemas/workflow.json";
    const forEditors = await post("/v1/workflows", { $schema, ...echo, name: "saved" });
    expect(forEditors.json).toMatchObject({ version: 1, created: false });
    const changed = await post("/v1/workflows", { ...echo, name: "saved", description: "new" });
    expect(changed.json.version).toBe(2);

    expect((await get("/v1/workflows/saved")).json).toMatchObject({
      version: 2,
      definition: { description: "new" },
    });
    expect((await get("/v1/workflows/saved?version=1")).json.version).toBe(1);
    const page = await get("/v1/workflows/saved/versions?limit=1");
    expect(page.json.items).toMatchObject([{ version: 2 }]);
    const next = await get(`/v1/workflows/saved/versions?cursor=${page.json.cursor}`);
    expect(next.json.items).toMatchObject([{ version: 1 }]);
  });

  test("that are wrong are refused with every problem and its place", async () => {
    const actions = [
      { id: 1, type: "user", name: "a", next: { default: 9 } },
      { id: 1, type: "user", nam: "b" },
    ];
    const reply = await post("/v1/workflows", { name: "bad", rootAction: 1, actions });
    expect(reply.status).toBe(422);
    expect(reply.json.error.code).toBe("DEFINITION_REFUSED");
    expect(reply.json.error.details.length).toBeGreaterThan(1);
    expect((await get("/v1/workflows/bad")).status).toBe(404);
  });

  test("can be checked without being saved", async () => {
    const reply = await post("/v1/workflows/validate", { ...greet, name: "checked" });
    expect(reply.json.valid).toBe(true);
    // Nobody has registered the action.
    expect(reply.json.warnings.length).toBe(1);
    expect((await get("/v1/workflows/checked")).status).toBe(404);
  });

  test("are listed by name, page by page", async () => {
    const first = await get("/v1/workflows?limit=2");
    expect(first.json.items.length).toBe(2);
    const second = await get(`/v1/workflows?limit=2&cursor=${first.json.cursor}`);
    const names = [...first.json.items, ...second.json.items].map((one) => one.name);
    expect(names).toEqual([...new Set(names)].sort());
    // Definitions may take megabytes each: they are read one by one.
    expect(Object.keys(first.json.items[0])).toEqual(["name", "version", "savedAt"]);
  });

  test("that are deleted cannot be started or read", async () => {
    await post("/v1/workflows", { ...echo, name: "doomed" });
    expect((await call(server, "DELETE", "/v1/workflows/doomed")).status).toBe(204);
    expect((await post("/v1/executions", { workflow: "doomed" })).status).toBe(404);
    expect((await get("/v1/workflows/doomed")).status).toBe(410);
  });
});

describe("actions", () => {
  test("are saved, read and listed with their queue", async () => {
    const put = await call(server, "PUT", "/v1/actions/counted", { retryCount: 5 });
    expect(put.json).toMatchObject({ name: "counted", retryCount: 5 });
    const actions = [{ id: 1, type: "user", name: "counted" }];
    await post("/v1/workflows", { name: "counting", rootAction: 1, actions });
    await start("counting");
    const one = await get("/v1/actions/counted");
    expect(one.json).toMatchObject({ queued: 1, running: 0, queues: [{ queue: "default" }] });
    expect(one.json.oldestWaitingAt).toMatch(/^\d{4}-.*Z$/);
    expect((await get("/v1/actions")).json.items).toMatchObject([
      { definition: { name: "counted" } },
    ]);
    expect((await get("/v1/actions/absent")).status).toBe(404);
  });

  test("that are large are listed in pages that close by bytes, none left out", async () => {
    const code = (index: number) => `C${index}_`.padEnd(limits.errorCodeCharsMax, "x");
    const nonRetryable = Array.from({ length: limits.nonRetryableCodesMax }, (_, i) => code(i));
    const names = Array.from({ length: 90 }, (_, index) => `large-${index + 100}`);
    for (const name of names) await call(server, "PUT", `/v1/actions/${name}`, { nonRetryable });
    const listed: string[] = [];
    let pages = 0;
    for (let cursor = ""; cursor !== undefined; pages++) {
      const { json, text } = await get(`/v1/actions?limit=500&cursor=${cursor}`);
      expect(text.length).toBeLessThan(limits.pageBytesMax + 100_000);
      listed.push(
        ...json.items.map((item: { definition: { name: string } }) => item.definition.name),
      );
      cursor = json.cursor;
    }
    expect(pages).toBe(2);
    expect(listed.filter((name) => name.startsWith("large-"))).toEqual(names);
  });

  test("refuse another name, and unknown or wrong members", async () => {
    const renamed = await call(server, "PUT", "/v1/actions/one", { name: "two" });
    expect(renamed.json.error.details).toMatchObject([{ pointer: "/name" }]);
    const wrong = await call(server, "PUT", "/v1/actions/one", { retryCuont: 1 });
    expect(wrong.status).toBe(422);
    expect(wrong.text).toContain("retryCount");
  });
});

describe("executions", () => {
  test("start, run and end; large numbers and odd keys pass exactly", async () => {
    const input = `{"name":"Ada", "big":12345678901234567890, "__proto__":{"x":1e400}}`;
    const body = `{"input": ${input}, "workflow":"greet", "correlationId":"order 7"}`;
    const started = await post("/v1/executions", body);
    expect(started.status).toBe(202);
    const { id } = started.json;
    expect(id).toMatch(uuid);
    expect(started.headers.get("location")).toBe(`/v1/executions/${id}`);
    const open = await get(`/v1/executions/${id}`);
    expect(open.json).toMatchObject({
      status: "RUNNING",
      workflow: "greet",
      correlationId: "order 7",
    });
    expect(open.text).toContain(`"input":${input}`);

    expect(await work(server, "say-hello", `{"n": 98765432109876543210}`)).toBe(1);
    const ended = await get(`/v1/executions/${id}`);
    expect(ended.text).toContain(`"result":{"n": 98765432109876543210}`);
    expect(ended.json).toMatchObject({
      status: "COMPLETED",
      run: 1,
      actions: [{ id: 1, status: "COMPLETED", attempts: [{ number: 1, worker: "worker-1" }] }],
    });
    expect(Object.keys(ended.json.data)).toEqual(["1", "input"]);
    const kinds = (await get(`/v1/executions/${id}/history?limit=500`)).json.items;
    expect(kinds.length).toBeGreaterThan(1);
    const page = await get(`/v1/executions/${id}/history?limit=1`);
    const rest = await get(`/v1/executions/${id}/history?cursor=${page.json.cursor}`);
    expect([...page.json.items, ...rest.json.items]).toEqual(kinds);
  });

  test("answer with the result when it comes within the wait", async () => {
    const quick = await post("/v1/executions?wait=5", { workflow: "echo", input: [1, "two"] });
    expect(quick.status).toBe(200);
    expect(quick.json).toMatchObject({ status: "COMPLETED", result: [1, "two"], created: true });
    const slow = await post("/v1/executions?wait=0.02", { workflow: "waiting" });
    expect(slow.status).toBe(202);
    expect(slow.json.status).toBe("RUNNING");
    const early = await get(`/v1/executions/${slow.json.id}/result?wait=0.0200000000000000004`);
    expect(early.status).toBe(202);
    const later = get(`/v1/executions/${slow.json.id}/result?wait=10`);
    await post(`/v1/executions/${slow.json.id}/signal`, { event: "go", payload: { a: 1 } });
    expect((await later).json).toMatchObject({
      status: "COMPLETED",
      result: { event: "go", payload: { a: 1 } },
    });
  });

  test("start once for one key or id, and refuse another request for it", async () => {
    const key = { "idempotency-key": "order 12" };
    const first = await post("/v1/executions", { workflow: "waiting", input: 1 }, key);
    const again = await post("/v1/executions", { workflow: "waiting", input: 1 }, key);
    expect(again.json).toEqual({ ...first.json, created: false });
    const other = await post("/v1/executions", { workflow: "waiting", input: 2 }, key);
    expect(other.status).toBe(409);
    expect(other.json.error.code).toBe("CONFLICT");

    const own = { workflow: "waiting", executionId: "order-13.a" };
    expect((await post("/v1/executions", own)).json).toMatchObject({
      id: "order-13.a",
      created: true,
    });
    expect((await post("/v1/executions", own)).json.created).toBe(false);
    expect((await post("/v1/executions", own, key)).status).toBe(400);
  });

  test("can start with a signal", async () => {
    const signal = { event: "go", payload: "early" };
    const reply = await post("/v1/executions?wait=5", { workflow: "waiting", signal });
    expect(reply.json.result).toEqual({ event: "go", payload: "early" });
  });

  test("are listed newest first, filtered, page by page", async () => {
    const ids = [];
    for (let i = 0; i < 3; i++) {
      ids.unshift(await start("waiting", { correlationId: "listed" }));
    }
    const list = (query: string) => get(`/v1/executions?correlationId=listed&${query}`);
    const first = await list("limit=2");
    const second = await list(`limit=2&cursor=${first.json.cursor}`);
    const items = [...first.json.items, ...second.json.items];
    expect(items.map((one: { id: string }) => one.id)).toEqual(ids);
    expect((await list("status=COMPLETED")).json.items).toEqual([]);
    expect((await list("workflow=echo")).json.items).toEqual([]);
    expect(
      (await list("workflow=waiting&status=RUNNING&startedAfter=2020-01-01")).json.items.length,
    ).toBe(3);
    expect(
      (await list(`startedBefore=${Date.parse(items[0].startedAt) - 60_000}`)).json.items,
    ).toEqual([]);
    expect((await list("startedAfter=2999-01-01T00:00:00Z")).json.items).toEqual([]);
  });

  test("pause, resume, cancel, and say what does not apply", async () => {
    const id = await start("waiting");
    const at = `/v1/executions/${id}`;
    expect((await post(`${at}/pause`)).json).toEqual({ id, status: "PAUSED" });
    expect((await post(`${at}/resume`, {})).json).toEqual({ id, status: "RUNNING" });
    const early = await call(server, "DELETE", at);
    expect(early.status).toBe(409);
    expect(early.json.error).toMatchObject({ code: "INVALID_STATE", status: "RUNNING" });
    const cancelled = await post(`${at}/cancel`, { reason: "changed my mind" });
    expect(cancelled.json.status).toBe("CANCELLED");
    expect((await get(at)).json).toMatchObject({ cancelReason: "changed my mind" });
    const late = await post(`${at}/pause`);
    expect(late.json.error).toMatchObject({ code: "INVALID_STATE", status: "CANCELLED" });
    expect((await call(server, "DELETE", at)).status).toBe(204);
    const gone = await get(at);
    expect(gone.status).toBe(410);
    expect(gone.json.error.code).toBe("DELETED");
    expect((await get(`${at}/events`)).status).toBe(410);
  });

  test("take a signal once for one signalId", async () => {
    const id = await start("waiting");
    const signal = { event: "other", signalId: "s-1" };
    expect((await post(`/v1/executions/${id}/signal`, signal)).json.outcome).toBe("accepted");
    expect((await post(`/v1/executions/${id}/signal`, signal)).json.outcome).toBe("duplicate");
    expect((await get(`/v1/executions/${id}`)).json.bufferedSignals).toEqual(["other"]);
  });

  test("refuse the 101st early signal, and say when to come back", async () => {
    const id = await start("waiting");
    const send = () => post(`/v1/executions/${id}/signal`, { event: "early" });
    const first = await Promise.all(Array.from({ length: 100 }, send));
    expect(first.every((reply) => reply.status === 200)).toBe(true);
    const tooMany = await send();
    expect(tooMany.status).toBe(429);
    expect(Number(tooMany.headers.get("retry-after"))).toBeGreaterThan(0);
  });
});

describe("the server", () => {
  test("tells of workers, servers, health, metrics and itself", async () => {
    await start("greet");
    await work(server, "say-hello", "1");
    expect((await get("/v1/servers")).json.items).toMatchObject([{ name: "test" }]);
    expect((await get("/v1/workers")).json.items).toMatchObject([{ id: "worker-1" }]);
    expect((await get("/health/live")).json).toEqual({ status: "live" });
    expect((await get("/health/ready")).json.ready).toBe(true);
    expect((await get("/metrics")).text).toMatch(/^process_resident_memory_bytes \d+$/m);
    expect((await get("/")).text).toContain("/openapi.json");
  });

  test("protects its answers, and names no software", async () => {
    const { headers } = await get("/health/live");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("access-control-allow-origin")).toBeNull();
    expect(headers.get("server")).toBeNull();
  });

  test("answers HEAD like GET without a body", async () => {
    const head = await call(server, "HEAD", "/v1/workflows/echo");
    expect(head.status).toBe(200);
    expect(head.text).toBe("");
    expect((await call(server, "HEAD", "/v1/workflows/absent")).status).toBe(404);
  });

  test("serves the worker services on the same port", async () => {
    const reply = await fetch(`${server.url}/orchy.v1.WorkerService/Poll`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ actions: ["nobody-has-this"], maxTasks: 1, waitSeconds: 0 }),
    });
    expect(reply.status).toBe(200);
  });
});
