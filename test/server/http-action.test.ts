/** http actions: a whole server that calls another one on this machine. */
import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { limits } from "../../src/base/limits.ts";
import {
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
} from "../support/orchy.ts";
import { startProcess } from "../support/process.ts";
import { until } from "../support/redis.ts";

const exact = "356686000032329832";

interface Call {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
  isAborted: boolean;
}
let calls: Call[] = [];
/** What the paths return; those that are not here return what they were sent. */
let replies: Record<string, (times: number) => Response | Promise<Response>> = {};
/** Requests that are not answered before the test has ended. */
const held: ((response: Response) => void)[] = [];
const never = () => new Promise<Response>((resolve) => held.push(resolve));

const target = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  idleTimeout: 0,
  async fetch(request) {
    const { pathname, search } = new URL(request.url);
    const { method, headers } = request;
    const seen = { method, path: pathname + search, headers, body: "", isAborted: false };
    request.signal.addEventListener("abort", () => {
      seen.isAborted = true;
    });
    seen.body = await request.text();
    calls.push(seen);
    const times = calls.filter(({ path }) => path === seen.path).length;
    const reply = replies[pathname];
    return reply === undefined
      ? new Response(seen.body, { headers: { "content-type": "application/json" } })
      : reply(times);
  },
});
afterAll(() => target.stop(true));
const base = `http://127.0.0.1:${target.port}`;

const servers: { remove(): Promise<void> }[] = [];
afterEach(async () => {
  for (const release of held.splice(0)) release(new Response(""));
  calls = [];
  replies = {};
  for (const server of servers.splice(0)) await server.remove();
});

async function open(flags = ["--http-allow", "127.0.0.1"]): Promise<TestServer> {
  const server = await startTestServer({ flags });
  servers.push(server);
  return server;
}

const workflowOf = (action: object) => ({
  name: "caller",
  rootAction: 1,
  actions: [{ id: 1, type: "system", name: "http", ...action }],
});

/** Runs one http action to its end. */
async function run(server: TestServer, action: object, input: unknown = {}) {
  await saveWorkflow(server, workflowOf(action));
  const id = await startExecution(server, "caller", input);
  const response = await fetch(`${server.url}/v1/executions/${id}/result?wait=30`);
  return { id, text: await response.text() };
}

const errorOf = ({ text }: { readonly text: string }) => JSON.parse(text).error;
const once = { retry: { retryCount: 0 } };

describe("a request", () => {
  test("is made of templates, with every digit, and its response is the output", async () => {
    const server = await open();
    const input = `{"id": ${exact}, "name": "a b&c", "list": [1, ${exact}]}`;
    await saveWorkflow(
      server,
      workflowOf({
        method: "{$.input.method}",
        url: `${base}/things/{$.input.id}`,
        query: { id: "$.input.id", name: "$.input.name", tag: ["x", "$.input.id"], none: null },
        headers: { "X-Id": "$.input.id", authorization: "Bearer {$.input.name}" },
        body: { deep: "$.input.list" },
      }),
    );
    const body = `{"workflow":"caller","input":${input.replace("{", '{"method": "put", ')}}`;
    const started = await call(server, "POST", "/v1/executions?wait=30", body);
    expect(started.status).toBe(200);
    const [seen] = calls;
    expect(seen).toMatchObject({
      method: "PUT",
      path: `/things/${exact}?id=${exact}&name=a+b%26c&tag=x&tag=${exact}`,
      body: `{"deep":[1, ${exact}]}`,
    });
    expect(seen!.headers.get("x-id")).toBe(exact);
    expect(seen!.headers.get("authorization")).toBe("Bearer a b&c");
    expect(seen!.headers.get("content-type")).toBe("application/json");
    expect(seen!.headers.get("idempotency-key")).toMatch(/^[0-9a-f]{32}$/);
    const { id } = started.body;
    const result = await (await fetch(`${server.url}/v1/executions/${id}/result`)).text();
    expect(result).toContain(`"body":{"deep":[1, ${exact}]}`);
    expect(JSON.parse(result).result).toMatchObject({
      status: 200,
      headers: { "content-type": "application/json" },
    });
  });

  test("without a body or method is a GET, and is not named for repeats", async () => {
    const server = await open();
    replies = {
      "/text": () => new Response("grüße", { headers: { "content-type": "text/plain" } }),
    };
    const { text } = await run(server, { url: `${base}/text` });
    expect(JSON.parse(text).result.body).toBe("grüße");
    expect(calls[0]).toMatchObject({ method: "GET", body: "" });
    expect(calls[0]!.headers.get("idempotency-key")).toBeNull();
  });

  test("goes on to the next action", async () => {
    const server = await open();
    await saveWorkflow(server, {
      name: "chain",
      rootAction: "get",
      actions: [
        {
          id: "get",
          type: "system",
          name: "http",
          url: `${base}/a`,
          method: "POST",
          body: { n: 7 },
          next: { default: "use" },
        },
        { id: "use", type: "system", name: "transform", parameters: { n: "$.get.output.body.n" } },
      ],
    });
    const started = await call(server, "POST", "/v1/executions?wait=30", { workflow: "chain" });
    expect(started.body.result).toEqual({ n: 7 });
  });

  test.each([
    [{ url: "$.input.none", strict: true }, "REFERENCE_NOT_FOUND"],
    [{ url: "$.input.none" }, "HTTP_INVALID_REQUEST"],
    [{ url: "{$.input.text}" }, "HTTP_INVALID_REQUEST"],
    [{ url: "http://user:secret@{$.input.text}/" }, "HTTP_INVALID_REQUEST"],
    [{ url: `${base}/`, method: "{$.input.text}" }, "HTTP_INVALID_REQUEST"],
    [{ url: `${base}/`, headers: { host: "a" } }, "HTTP_INVALID_REQUEST"],
    [{ url: `${base}/`, headers: { "x-a": "a\r\nx-b: c" } }, "HTTP_INVALID_REQUEST"],
    [{ url: `${base}/`, headers: "$.input.text" }, "HTTP_INVALID_REQUEST"],
    [{ url: `${base}/`, query: { a: { b: 1 } } }, "HTTP_INVALID_REQUEST"],
    [{ url: "http://localhost:1/" }, "HTTP_NOT_ALLOWED"],
    [{ url: "http://169.254.169.254/latest/meta-data" }, "HTTP_NOT_ALLOWED"],
  ])("that cannot be made as it is fails at once: %j", async (action, code) => {
    const server = await open();
    const outcome = await run(server, action, { text: "words" });
    expect(errorOf(outcome).code).toBe(code);
    expect(calls).toEqual([]);
    const { body } = await call(server, "GET", `/v1/executions/${outcome.id}`);
    expect(body.actions[0].attempts?.length ?? 0).toBeLessThanOrEqual(1);
  });

  test("is not made where nothing is allowed", async () => {
    const server = await open([]);
    const outcome = await run(server, { url: `${base}/` });
    expect(errorOf(outcome)).toMatchObject({
      code: "HTTP_NOT_ALLOWED",
      message: "This server may not call 127.0.0.1. If it may, add it to --http-allow.",
    });
    expect(calls).toEqual([]);
  });
});

describe("a response", () => {
  test.each([404, 400, 409])("with the status %d fails without a retry", async (status) => {
    const server = await open();
    replies = { "/": () => new Response("why not", { status }) };
    const outcome = await run(server, { url: `${base}/` });
    expect(errorOf(outcome)).toMatchObject({
      code: `HTTP_${status}`,
      message: `The server returned the status ${status}.`,
      details: { status, body: "why not" },
    });
    expect(calls).toHaveLength(1);
  });

  test("that is expected is no failure, and one that is not is", async () => {
    const server = await open();
    replies = { "/404": () => new Response("", { status: 404 }), "/200": () => new Response("") };
    const expect404 = { expect: [404], ...once };
    const found = await run(server, { url: `${base}/404`, ...expect404 });
    expect(JSON.parse(found.text).result).toMatchObject({ status: 404, body: null });
    expect(errorOf(await run(server, { url: `${base}/200`, ...expect404 })).code).toBe("HTTP_200");
  });

  test.each([503, 429, 500])(
    "with the status %d is tried again, as the same request",
    async (status) => {
      const server = await open();
      replies = {
        "/": (times) => (times < 3 ? new Response("", { status }) : Response.json({ times })),
      };
      const retry = { retryCount: 5, retryAfterSeconds: 0.01 };
      const { id, text } = await run(server, { url: `${base}/`, method: "POST", retry });
      expect(JSON.parse(text).result.body).toEqual({ times: 3 });
      expect(calls).toHaveLength(3);
      expect(new Set(calls.map(({ headers }) => headers.get("idempotency-key"))).size).toBe(1);
      // Another execution is another request.
      const first = calls[0]!.headers.get("idempotency-key");
      calls = [];
      const other = await run(server, { url: `${base}/`, method: "POST", retry });
      expect(other.id).not.toBe(id);
      expect(calls[0]!.headers.get("idempotency-key")).not.toBe(first);
    },
  );

  test("that says when to come again is heeded, within the longest delay", async () => {
    const server = await open();
    const headers = { "retry-after": "600" };
    replies = { "/": () => new Response("", { status: 429, headers }) };
    const delays: number[] = [];
    for (const maxRetryAfterSeconds of [3_600, 60]) {
      const retry = { retryAfterSeconds: 0.01, maxRetryAfterSeconds };
      await saveWorkflow(server, workflowOf({ url: `${base}/`, retry }));
      const id = await startExecution(server, "caller");
      const failure = async () => {
        const { body } = await call(server, "GET", `/v1/executions/${id}/history`);
        return body.items.find(({ kind }: { kind: string }) => kind === "attempt.failed");
      };
      await until(async () => (await failure()) !== undefined);
      const failed = await failure();
      delays.push(failed.details.retryAt - Date.parse(failed.at));
    }
    expect(delays).toEqual([600_000, 60_000]);
  });

  test.each([
    ["application/json", '{"a":', "HTTP_INVALID_RESPONSE"],
    ["application/problem+json", "[".repeat(200) + "]".repeat(200), "HTTP_INVALID_RESPONSE"],
    ["text/plain; charset=utf-8", Buffer.from([0xff, 0xfe, 0x00]), "HTTP_INVALID_RESPONSE"],
    ["text/plain; charset=klingon", "x", "HTTP_INVALID_RESPONSE"],
    ["text/plain", "x".repeat(2_000), "HTTP_RESPONSE_TOO_LARGE"],
  ])("of %s that cannot be taken fails without a retry", async (type, body, code) => {
    const server = await open();
    replies = { "/": () => new Response(body, { headers: { "content-type": type } }) };
    const outcome = await run(server, { url: `${base}/`, responseBytesMax: 1_000 });
    expect(errorOf(outcome).code).toBe(code);
    expect(calls).toHaveLength(1);
  });

  test("as large as allowed is an output, and texts that grow as JSON are refused", async () => {
    const server = await open();
    const bytes = limits.httpResponseBytesMax;
    replies = {
      "/fits": () => new Response("x".repeat(bytes)),
      "/grows": () => new Response("\u0001".repeat(bytes)),
    };
    const fits = await run(server, { url: `${base}/fits`, responseBytesMax: bytes });
    expect(JSON.parse(fits.text).result.body).toHaveLength(bytes);
    const grows = await run(server, { url: `${base}/grows`, responseBytesMax: bytes });
    expect(errorOf(grows).code).toBe("HTTP_RESPONSE_TOO_LARGE");
  });

  test("that takes longer than the attempt may fails with TIMEOUT", async () => {
    const server = await open();
    replies = { "/": never };
    const outcome = await run(server, { url: `${base}/`, timeoutSeconds: 0.2, ...once });
    expect(errorOf(outcome).code).toBe("TIMEOUT");
    await until(async () => calls[0]?.isAborted === true);
  });
});

test("cancelling the execution ends its request", async () => {
  const server = await open();
  replies = { "/": never };
  await saveWorkflow(server, workflowOf({ url: `${base}/` }));
  const id = await startExecution(server, "caller");
  await until(async () => calls.length === 1);
  expect((await call(server, "POST", `/v1/executions/${id}/cancel`, {})).status).toBe(200);
  await until(async () => calls[0]!.isAborted);
});

test("requests that never return leave room for others, and none is made twice", async () => {
  const server = await open();
  replies = { "/slow": never };
  const slow = { id: "slow", type: "system", name: "http", url: `${base}/slow?{$.input.n}` };
  await saveWorkflow(server, { name: "slow", rootAction: "slow", actions: [slow] });
  const most = limits.innerTasksMax - 1;
  for (let n = 0; n < most; n++) await startExecution(server, "slow", { n });
  await until(async () => calls.length === most);
  const { text } = await run(server, { url: `${base}/quick`, method: "POST", body: 1 });
  expect(JSON.parse(text).result.body).toBe(1);
  expect(calls).toHaveLength(limits.innerTasksMax);
});

test("a killed server's request is made again by the next one, as the same request", async () => {
  replies = { "/": (times) => (times === 1 ? never() : Response.json({ times })) };
  const folder = mkdtempSync(join(tmpdir(), "orchy-http-"));
  const start = () => startProcess(`sqlite:${folder}/orchy.db`, {}, ["--http-allow", "127.0.0.1"]);
  const first = await start();
  try {
    await saveWorkflow(first, workflowOf({ url: `${base}/`, method: "POST", heartbeatSeconds: 1 }));
    const id = await startExecution(first, "caller");
    await until(async () => calls.length === 1);
    first.child.kill("SIGKILL");
    await first.child.exited;
    const second = await start();
    const result = await call(second, "GET", `/v1/executions/${id}/result?wait=50`);
    second.child.kill();
    await second.child.exited;
    expect(result.body.result.body).toEqual({ times: 2 });
    const keys = calls.map(({ headers }) => headers.get("idempotency-key"));
    expect(keys).toEqual([keys[0]!, keys[0]!]);
  } finally {
    first.child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}, 60_000);

describe("the server's own queue", () => {
  test("cannot be named by definitions", async () => {
    const server = await open();
    const actions = [{ id: 1, type: "user", name: "http", queue: "orchy" }];
    const { status, body } = await call(server, "POST", "/v1/workflows", {
      name: "spy",
      rootAction: 1,
      actions,
    });
    expect(status).toBe(422);
    expect(body.error.details).toEqual([
      {
        pointer: "/actions/0/queue",
        message: 'The queue "orchy" is reserved for the server itself. Choose another.',
      },
    ]);
  });

  test("cannot be polled, and a worker's action of the name http is another one", async () => {
    const server = await open();
    replies = { "/": never };
    await saveWorkflow(server, workflowOf({ url: `${base}/` }));
    await startExecution(server, "caller");
    await until(async () => calls.length === 1);
    const poll = (queues: string[]) =>
      call(server, "POST", "/orchy.v1.WorkerService/Poll", { actions: ["http"], queues });
    for (const queue of ["orchy", "orchy/http"]) {
      const { status, body } = await poll([queue]);
      expect(status).toBe(400);
      expect(body.message).toContain("/queues/0");
    }
    expect((await poll(["default"])).body.tasks ?? []).toEqual([]);
    await saveWorkflow(server, {
      name: "worker",
      rootAction: 1,
      actions: [{ id: 1, type: "user", name: "http" }],
    });
    await startExecution(server, "worker");
    const { body } = await poll(["default"]);
    expect(body.tasks).toHaveLength(1);
  });

  test("shows neither among the workers nor among the polls that wait", async () => {
    const server = await open();
    expect((await call(server, "GET", "/v1/workers")).body.items ?? []).toEqual([]);
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    expect(metrics).toContain("orchy_parked_polls 0\n");
  });
});
