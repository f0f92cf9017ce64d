/** Whatever comes in, the answer is a clear refusal, and the server goes on. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import http2 from "node:http2";
import net from "node:net";
import { limits } from "../../../src/base/limits.ts";
import { call, type Reply, send, startTestServer, type TestServer } from "./support.ts";
import { echo, waiting } from "./workflows.ts";

let server: TestServer;
const post = (path: string, body?: unknown, headers?: Record<string, string>) =>
  call(server, "POST", path, body, headers);
const get = (path: string) => call(server, "GET", path);

beforeAll(async () => {
  server = await startTestServer();
  for (const definition of [echo, waiting]) await post("/v1/workflows", definition);
});
afterAll(async () => {
  expect((await get("/health/live")).status).toBe(200);
  expect(server.log.filter((line) => line.level === "error")).toEqual([]);
  await server.stop();
});

const details = (reply: Reply) =>
  Object.fromEntries(
    reply.json.error.details.map((one: { pointer: string; message: string }) => [
      one.pointer,
      one.message,
    ]),
  );

describe("bodies", () => {
  const syntax: readonly [string, string, number][] = [
    ["{", "line 1, column 2: expected a member name", 1],
    [`{"workflow": "echo",\n "input": }`, "line 2, column 11: expected a JSON value", 31],
    [`{"workflow": "echo",}`, "expected a member name in double quotes", 20],
    [`{"a" 1}`, `expected ":"`, 5],
    [`{"a": 01}`, `expected "," or "}"`, 7],
    ["{'a': 1}", "expected a member name", 1],
    [`{"a": "x\u0001"}`, "expected an escape for a control character", 8],
    [String.raw`{"a": "\x"}`, "expected a valid escape", 7],
    [`{"a": [1 2]}`, `expected "," or "]"`, 9],
    [`{"a": NaN}`, "expected a JSON value", 6],
    [`{"a": 1} x`, "expected the end of the text", 9],
    [`{"a": "open`, "expected a closing double quote", 11],
  ];
  test.each(syntax)("malformed JSON is refused with its position: %p", async (text, told, at) => {
    const reply = await post("/v1/executions", text);
    expect(reply.status).toBe(400);
    expect(reply.json.error.message).toContain(told);
    expect(reply.json.error.position).toBe(at);
    expect((await post("/flow/execute", text)).status).toBe(400);
  });

  test("nothing, blanks, and bytes that are not UTF-8 are refused", async () => {
    for (const body of ["", "  \n"]) {
      expect((await post("/v1/executions", body)).json.error.message).toBe("The body is empty.");
    }
    const response = await fetch(`${server.url}/v1/executions`, {
      method: "POST",
      body: new Uint8Array([0x7b, 0xff, 0xfe, 0x7d]),
    });
    expect(response.status).toBe(400);
    expect(await response.text()).toContain("not UTF-8");
  });

  test("depth is bounded, in payloads and around them", async () => {
    const deep = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
    const body = (depth: number) => `{"workflow":"echo","input":${deep(depth)}}`;
    const fits = await post("/v1/executions?wait=5", body(limits.jsonDepthMax - 1));
    expect(fits.status).toBe(200);
    for (const depth of [limits.jsonDepthMax, 1_000_000]) {
      const reply = await post("/v1/executions", body(depth));
      expect(reply.status).toBe(400);
      expect(reply.json.error.message).toContain("nested deeper than 128");
    }
    const braces = `{"a":`.repeat(300_000);
    expect((await post("/v1/workflows", braces)).status).toBe(400);
  });

  test("names of the language's own objects are unknown members, or data in payloads", async () => {
    for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
      const reply = await post("/v1/executions", `{"workflow":"echo","${name}":{"x":1}}`);
      expect(reply.status).toBe(400);
      expect(Object.keys(details(reply))).toEqual([`/${name}`]);
      const data = `{"${name}":{"x":1}}`;
      const sent = await post("/v1/executions?wait=5", `{"workflow":"echo","input":${data}}`);
      expect(sent.text).toContain(`"result":${data}`);
      expect((await post("/v1/workflows", `{"${name}":{"x":1}}`)).status).toBe(422);
      expect((await post("/workflow", `{"${name}":{"x":1}}`)).status).toBe(422);
      const action = await call(server, "PUT", "/v1/actions/a", `{"${name}":{"x":1}}`);
      expect(action.status).toBe(422);
    }
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });

  test("unknown members are all named, each with the nearest known one", async () => {
    const signal = { event: "go", paylod: 1 };
    const reply = await post("/v1/executions", { workflw: "echo", signal, zzz: 1 });
    expect(reply.status).toBe(400);
    expect(details(reply)).toMatchObject({
      "/workflw": `Unknown member; did you mean "workflow"?`,
      "/signal/paylod": `Unknown member; did you mean "payload"?`,
      "/zzz": expect.stringContaining("known: workflow, version"),
      "/workflow": "It is missing.",
    });
  });

  const wrong: readonly [string, unknown, string][] = [
    ["/workflow", { workflow: 7 }, "It must be a string, not a number."],
    ["/workflow", { workflow: "../etc" }, "begin with a letter or a digit"],
    ["/workflow", { workflow: "a".repeat(129) }, "1 to 128 characters"],
    ["/version", { workflow: "echo", version: 1.5 }, "a whole number"],
    ["/version", { workflow: "echo", version: "1" }, "It must be a number."],
    ["/version", { workflow: "echo", version: 0 }, "at least 1"],
    ["/version", { workflow: "echo", version: 1e300 }, "at most"],
    ["/priority", { workflow: "echo", priority: 101 }, "at most 100"],
    ["/correlationId", { workflow: "echo", correlationId: "" }, "not be empty"],
    ["/correlationId", { workflow: "echo", correlationId: "a\u0000b" }, "control characters"],
    ["/correlationId", { workflow: "echo", correlationId: "\ud800" }, "well-formed"],
    ["/correlationId", { workflow: "echo", correlationId: "c".repeat(257) }, "at most 256"],
    ["/executionId", { workflow: "echo", executionId: "a:b" }, "1 to 128 characters"],
    ["/executionId", { workflow: "echo", executionId: null }, "not null"],
    ["/signal", { workflow: "echo", signal: [] }, "It must be an object, not an array."],
    ["/signal/event", { workflow: "echo", signal: {} }, "It is missing."],
    ["", [], "It must be an object, not an array."],
    ["", 7, "It must be an object, not a number."],
  ];
  test.each(wrong)("a wrong value is refused at its place: %p %p", async (pointer, body, told) => {
    const reply = await post("/v1/executions", JSON.stringify(body));
    expect(reply.status).toBe(400);
    expect(details(reply)[pointer]).toContain(told);
  });

  test("a wrong value is never repeated in the refusal", async () => {
    const secret = "s3cret".repeat(1000);
    const reply = await post("/v1/executions", { workflow: secret, version: secret, [secret]: 1 });
    expect(reply.status).toBe(400);
    expect(reply.text.length).toBeLessThan(2_000);
  });

  test("another content type is refused with what to do", async () => {
    for (const type of ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data"]) {
      const reply = await post("/v1/executions", `{"workflow":"echo"}`, { "content-type": type });
      expect(reply.status).toBe(415);
      expect(reply.json.error.message).toContain(`"content-type: application/json"`);
    }
    for (const type of ["application/json; charset=utf-8", "application/merge-patch+json"]) {
      const reply = await post("/v1/executions", `{"workflow":"echo"}`, { "content-type": type });
      expect(reply.status).toBe(202);
    }
  });

  test("a payload that is too large is refused at its place", async () => {
    const big = "x".repeat(limits.payloadBytesMax);
    const start = await post("/v1/executions", { workflow: "echo", input: big });
    expect(start.status).toBe(413);
    expect(Object.keys(details(start))).toEqual(["/input"]);
    const { id } = (await post("/v1/executions", { workflow: "waiting" })).json;
    const signal = await post(`/v1/executions/${id}/signal`, { event: "go", payload: big });
    expect(signal.status).toBe(413);
    const early = { workflow: "waiting", signal: { event: "go", payload: big } };
    const started = await post("/v1/executions", early);
    expect(Object.keys(details(started))).toEqual(["/signal/payload"]);
    const legacy = await post("/flow/execute", { name: "echo", input: big });
    expect(legacy.json.error).toContain("/input");
  });

  test("a body with too many parts is refused before it is made", async () => {
    const filled = (item: string, bytes: number) =>
      `[${`${item},`.repeat(bytes / (item.length + 1))}1]`;
    const start = (input: string) => post("/v1/executions", `{"workflow":"none","input":${input}}`);
    // The payload of the most parts fits: what it is for does not exist.
    expect((await start(filled("[]", limits.payloadBytesMax - 10))).status).toBe(404);
    const refused = await start(filled("[]", limits.restBodyBytesMax - 100));
    expect(refused.status).toBe(413);
    expect(refused.json.error.message).toContain("more than 2200000 parts");
    const definition = `{"name":"parts","output":${filled("1", limits.definitionPartsMax * 2)}}`;
    for (const path of ["/v1/workflows", "/v1/workflows/validate", "/workflow"]) {
      expect((await post(path, definition)).status).toBe(413);
    }
  });

  test("a body that holds neither a payload nor a definition is short", async () => {
    const { id } = (await post("/v1/executions", { workflow: "waiting" })).json;
    const padding = " ".repeat(limits.controlBodyBytesMax);
    for (const [method, path] of [
      ["POST", `/v1/executions/${id}/cancel`],
      ["POST", `/v1/executions/${id}/pause`],
      ["POST", "/flow/pause"],
      ["PUT", "/v1/actions/short"],
      ["POST", "/metadata/action"],
    ] as const) {
      expect((await call(server, method, path, `{}${padding}`)).status).toBe(413);
    }
    expect((await get(`/v1/executions/${id}`)).json.status).toBe("RUNNING");
  });

  test("a body that is too large is refused, announced or not", async () => {
    const announced = await post("/v1/workflows", `"${"x".repeat(limits.definitionBytesMax)}"`);
    expect(announced.status).toBe(413);
    expect(announced.json.error.code).toBe("TOO_LARGE");
    const mebibyte = new Uint8Array(1024 * 1024).fill(0x20);
    async function* endless() {
      for (let i = 0; i < 40; i++) yield mebibyte;
    }
    const chunked = await fetch(`${server.url}/v1/executions`, { method: "POST", body: endless() });
    expect(chunked.status).toBe(413);
    expect(await chunked.json()).toMatchObject({ error: { code: "TOO_LARGE" } });
  });
});

describe("addresses", () => {
  const paths: readonly [string, number, string][] = [
    ["/v1/executions/%zz", 400, "percent-encoding"],
    ["/v1/executions/%ff", 400, "percent-encoding"],
    ["/v1/executions/a%00b", 400, "{id}"],
    ["/v1/executions/a%2Fb", 400, "{id}"],
    ["/v1/executions/not-there", 404, "not-there"],
    [`/v1/executions/${"a".repeat(5000)}`, 400, "{id}"],
    ["/v1/executions/00000000-0000-0000-0000-00000000000g", 404, "no execution"],
    ["/v1/workflows/..%2f..", 400, "{name}"],
    ["/v1/workflows/echo?version=x", 400, "?version"],
    ["/v1/workflows/echo?version=99", 404, "version 99"],
    ["/v1/workflows/echo?versoin=1", 400, `did you mean \\"version\\"`],
    ["/v1/executions?limit=0", 400, "at least 1"],
    ["/v1/executions?limit=501", 400, "at most 500"],
    ["/v1/executions?limit=1&limit=2", 400, "given twice"],
    ["/v1/executions?limit=1e2", 400, "?limit"],
    ["/v1/executions?status=DONE", 400, "one of"],
    ["/v1/executions?cursor=nonsense", 400, "Invalid cursor"],
    ["/v1/executions?cursor=%00", 400, "Invalid cursor"],
    ["/v1/executions?startedAfter=yesterday", 400, "ISO 8601"],
    ["/v1/executions?startedAfter=2020-99-99", 400, "ISO 8601"],
    ["/v1/executions?correlationId=%00", 400, "control characters"],
    ["/v1/executions?%00=1&%ff=%ff", 400, "query parameter"],
    ["/v1/executions/x/history?cursor=-1.5", 400, "Invalid cursor"],
    ["/v1/executions/x/result?wait=61", 400, "at most 60"],
    ["/v1/executions/x/result?wait=NaN", 400, "a number"],
    ["/v1/executions/x/result?wait=1e999", 400, "a number"],
    ["/v1/executions/x/result?wait=-1", 400, "at least 0"],
    ["/v1/workflows?cursor=..", 400, "Invalid cursor"],
    ["/v1/workflows/echo/versions?cursor=a", 400, "Invalid cursor"],
    ["/v1/actions?cursor=%0A", 400, "Invalid cursor"],
    ["/v1/executons", 404, "/v1/executions"],
    ["/v1/executions/abc/reslt", 404, "/v1/executions/{id}/result"],
    ["/nothing/like/it", 404, "/openapi.json"],
    ["/flow/exectue", 404, "/flow/execute"],
    ["/execution/echo/a%00b", 400, "{id}"],
    ["/%E2%98%83", 404, "Unknown route"],
    ["/v1//executions", 404, "Unknown route"],
  ];
  test.each(paths)("%s is answered with %d", async (path, status, told) => {
    const reply = await get(path);
    expect([reply.status, reply.text]).toEqual([status, expect.stringContaining(told)]);
  });

  test("an empty query value counts as absent", async () => {
    expect((await get("/v1/executions?workflow=&status=&correlationId=&limit=")).status).toBe(200);
  });

  test("a wrong method is told which apply", async () => {
    const reply = await call(server, "PUT", "/v1/workflows");
    expect(reply.status).toBe(405);
    expect(reply.headers.get("allow")).toBe("POST, GET, HEAD");
    const legacy = await call(server, "DELETE", "/flow/event");
    expect(legacy.headers.get("allow")).toBe("POST");
    const poll = await fetch(`${server.url}/orchy.v1.WorkerService/Poll`);
    expect(poll.status).toBe(405);
  });

  test("a bad idempotency key is refused", async () => {
    for (const key of ["k".repeat(257), "caf\u00e9"]) {
      const headers = { "idempotency-key": key };
      const reply = await post("/v1/executions", { workflow: "echo" }, headers);
      expect(reply.status).toBe(400);
      expect(Object.keys(details(reply))).toEqual(["idempotency-key"]);
    }
  });

  test("another site's page changes nothing", async () => {
    const headers = { "sec-fetch-site": "cross-site" };
    expect((await post("/v1/executions", { workflow: "echo" }, headers)).status).toBe(403);
  });
});

/** Sends bytes as they are and answers the first line of what comes back, or "" when cut off. */
async function rawRequest(text: string | Uint8Array): Promise<string> {
  const socket = net.connect(server.port, "127.0.0.1");
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.on("data", (data) => resolve(String(data).split("\r\n")[0]!));
  socket.on("close", () => resolve(""));
  socket.on("error", () => resolve(""));
  socket.write(text);
  const line = await promise;
  socket.destroy();
  return line;
}

describe("on the wire", () => {
  const long = "a".repeat(100_000);
  const requests: readonly [string, string][] = [
    [
      "a query of 100,000 characters",
      `GET /v1/executions?workflow=${long} HTTP/1.1\r\nhost: localhost\r\n\r\n`,
    ],
    ["a huge header", `GET /v1/executions HTTP/1.1\r\nhost: localhost\r\nx: ${long}\r\n\r\n`],
    ["a NUL in the path", "GET /v1/\0 HTTP/1.1\r\nhost: localhost\r\n\r\n"],
    ["no host", "GET /v1/executions HTTP/1.1\r\n\r\n"],
    ["an unknown method", "BREW /v1/executions HTTP/1.1\r\nhost: localhost\r\n\r\n"],
    [
      "a negative length",
      "POST /v1/executions HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n",
    ],
    [
      "an announced length beyond any bound",
      "POST /v1/executions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999999\r\n\r\n",
    ],
    [
      "a chunk that is no chunk",
      "POST /v1/executions HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n\r\n",
    ],
    ["not HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n"],
  ];
  test.each(requests)("%s is refused or cut off", async (_what, text) => {
    expect(await rawRequest(text)).toMatch(/^$|^HTTP\/1\.1 (4\d\d|505) /);
  });

  test("a strange host header is refused like an unknown name", async () => {
    const line = await rawRequest("GET /health/live HTTP/1.1\r\nhost: %%^^ []\r\n\r\n");
    expect(line).toStartWith("HTTP/1.1 421 ");
  });

  test("HTTP/2 is served and refused alike", async () => {
    const session = http2.connect(server.url);
    const execute = {
      ":method": "POST",
      ":path": "/v1/executions?wait=5",
      "content-type": "application/json",
    };
    const done = await send(session, execute, { workflow: "echo", input: 1 });
    expect(done).toMatchObject({ status: 200, text: expect.stringContaining(`"result":1`) });
    expect((await send(session, execute, `{"workflow":`)).status).toBe(400);
    expect((await send(session, { ":path": "/v1/executions/a%00b" })).status).toBe(400);
    expect(
      (await send(session, { ":path": `/v1/executions?workflow=${"a".repeat(10_000)}` })).status,
    ).toBe(400);
    const big = await send(session, execute, "x".repeat(limits.requestBytesMax + 1));
    expect(big).toMatchObject({ status: 413, text: expect.stringContaining("TOO_LARGE") });
    expect((await send(session, { ":path": "/health/live" })).status).toBe(200);
    session.destroy();
  });
});
