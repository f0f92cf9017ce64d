/** The Connect adapter on the HTTP port, met by curl, by plain fetch and by Connect's own clients. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import {
  compressionGzip,
  createConnectTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { rpcError } from "../../../src/api/rpc/rpc-error.ts";
import { inBytes } from "../../../src/base/amount.ts";
import { OrchyError } from "../../../src/base/errors.ts";
import { limits } from "../../../src/base/limits.ts";
import {
  PayloadFormat,
  PollRequestSchema,
  PollResponseSchema,
  ResultStatus,
  WorkerService,
} from "../../../src/gen/orchy/v1/worker_pb.ts";
import { StoreFault } from "../../../src/store/store.ts";
import { type Edge, startEdge } from "./edge.ts";
import { call, curl, sendRaw } from "./http.ts";

let edge: Edge;
let pollUrl: string;

beforeEach(async () => {
  edge = await startEdge();
  pollUrl = `${edge.url}/orchy.v1.WorkerService/Poll`;
});
afterEach(() => edge.stop());

const json = ["-H", "content-type: application/json"];

test("curl takes a task and completes it, over HTTP/1.1 and HTTP/2", async () => {
  for (const version of ["--http1.1", "--http2-prior-knowledge"]) {
    const id = await edge.add("log-action", '{"text":"hello","n":[1,null,{"deep":true}]}');
    const polled = await curl(version, ...json, "-d", '{"actions":["log-action"]}', pollUrl);
    expect(polled.status).toBe(200);
    const [task] = JSON.parse(polled.body).tasks;
    expect(task).toMatchObject({
      workflow: "orders",
      workflowVersion: 1,
      executionId: id,
      actionId: "1",
      action: "log-action",
      attempt: 1,
      parameters: { text: "hello", n: [1, null, { deep: true }] },
      correlationId: "order-1",
    });

    const result = JSON.stringify({ results: [{ token: task.token, output: { ok: true } }] });
    const url = pollUrl.replace("Poll", "Complete");
    const completed = await curl(version, ...json, "-d", result, url);
    expect(JSON.parse(completed.body)).toEqual({ results: [{ status: "RESULT_STATUS_ACCEPTED" }] });
    expect(await edge.outputOf(id)).toBe('{"ok":true}');
    const leftMs = Number(task.deadlineMs) - Date.now();
    expect(leftMs).toBeGreaterThan((limits.attemptTimeoutSecondsDefault - 60) * 1000);
    // The server's clock goes on evenly where the system's is put right.
    expect(leftMs).toBeLessThan((limits.attemptTimeoutSecondsDefault + 60) * 1000);
  }
});

test.each([
  ["Connect, HTTP/1.1, protobuf", () => createConnectTransport({ ...at(), httpVersion: "1.1" })],
  ["Connect, HTTP/2, protobuf", () => createConnectTransport({ ...at(), httpVersion: "2" })],
  [
    "Connect, HTTP/2, JSON",
    () => createConnectTransport({ ...at(), httpVersion: "2", useBinaryFormat: false }),
  ],
  [
    "Connect, gzipped requests",
    () =>
      createConnectTransport({
        ...at(),
        httpVersion: "1.1",
        sendCompression: compressionGzip,
        compressMinBytes: 1,
      }),
  ],
  ["gRPC-Web, protobuf", () => createGrpcWebTransport({ ...at(), httpVersion: "1.1" })],
  [
    "gRPC-Web, JSON",
    () => createGrpcWebTransport({ ...at(), httpVersion: "1.1", useBinaryFormat: false }),
  ],
])(
  "a client takes a task, brings its result, and hears of errors: %s",
  async (_name, transport) => {
    const client = createClient(WorkerService, transport());
    const id = await edge.add("a", '{"big":9007199254740993}');
    const payloadFormat = PayloadFormat.JSON;
    const first = await client.poll({ actions: ["a"], payloadFormat });
    expect(new TextDecoder().decode(first.tasks[0]?.parametersJson)).toBe(
      '{"big":9007199254740993}',
    );

    const token = first.tasks[0]!.token;
    const outputJson = new TextEncoder().encode('{"big": 9007199254740993}');
    const second = await client.poll({ actions: ["a"], results: [{ token, outputJson }] });
    expect(second.results.map(({ status }) => status)).toEqual([ResultStatus.ACCEPTED]);
    expect(await edge.outputOf(id)).toBe('{"big": 9007199254740993}');

    const error = await client.poll({}).catch(ConnectError.from);
    expect(error).toBeInstanceOf(ConnectError);
    expect((error as ConnectError).code).toBe(Code.InvalidArgument);
    expect((error as ConnectError).rawMessage).toContain("/actions: must name at least one action");
  },
);

test.each([
  ["of a known length", {}, (bytes: Uint8Array) => bytes],
  ["compressed", { "grpc-encoding": "gzip" }, (bytes: Uint8Array) => gzipSync(bytes)],
] as const)("gRPC-Web takes a body %s", async (_what, more, pack) => {
  const id = await edge.add("a", "{}");
  const message = pack(toBinary(PollRequestSchema, create(PollRequestSchema, { actions: ["a"] })));
  const frame = Buffer.alloc(5);
  frame.writeUInt8("grpc-encoding" in more ? 1 : 0, 0);
  frame.writeUInt32BE(message.length, 1);
  const headers = { "content-type": "application/grpc-web+proto", ...more };
  const body = Buffer.concat([frame, message]);
  const response = await fetch(pollUrl, { method: "POST", headers, body });
  expect(response.status).toBe(200);
  const text = await response.text();
  expect(text).toContain("grpc-status: 0");
  expect(text).toContain(id);
});

test("an error's content type is the one that clients compare with, without a charset", async () => {
  const headers = { "content-type": "application/proto" };
  const response = await fetch(pollUrl, { method: "POST", headers, body: new Uint8Array() });
  expect(response.status).toBe(400);
  expect(response.headers.get("content-type")).toBe("application/json");
});

function at() {
  return { baseUrl: edge.url };
}

test("wrong JSON is told with a pointer to it", async () => {
  const cases: [string, string][] = [
    ['{"actions":["a"],"maxTasks":"x"}', '/maxTasks: expected number (int32), got "x"'],
    ['{"actions":["a",7]}', "/actions/1: "],
    ['{"results":7}', "/results: "],
    ["[]", "/: "],
    ['{"actions":', "The body is not valid JSON at line 1, column 12: expected a JSON value."],
    ['{"actions":["a"],"waitSeconds":61}', "/waitSeconds: is 61; it must be 0 to 60"],
    ['{"actions":["a"],"waitSeconds":"NaN"}', "/waitSeconds: is NaN"],
    ['{"actions":["a"],"maxTasks":-1}', "/maxTasks: is -1"],
    ['{"actions":["a",""]}', "/actions/1: must be 1 to 128"],
    [JSON.stringify({ actions: ["a".repeat(129)] }), "/actions/0: must be 1 to 128"],
    [JSON.stringify({ actions: ["a"], workerId: "w".repeat(300) }), "/workerId: is longer"],
    [JSON.stringify({ actions: Array(1001).fill("a") }), "/actions: has 1001 items"],
  ];
  for (const [body, message] of cases) {
    const answer = await call(pollUrl, body);
    expect([body, answer.status, answer.code]).toEqual([body, 400, "invalid_argument"]);
    expect(answer.message).toContain(message);
  }
});

test("malformed protobuf is invalid_argument", async () => {
  const bodies = [
    new Uint8Array([0x0a, 0xff]),
    new Uint8Array([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
    crypto.getRandomValues(new Uint8Array(2000)).fill(0x0b, 0, 1000),
  ];
  for (const body of bodies) {
    const answer = await call(pollUrl, body, { "content-type": "application/proto" });
    expect([answer.status, answer.code]).toEqual([400, "invalid_argument"]);
  }
});

test("unknown methods, wrong HTTP methods and content types are clear errors", async () => {
  const nope = await call(`${edge.url}/orchy.v1.WorkerService/Nope`, "{}");
  expect([nope.status, nope.code]).toEqual([404, "unimplemented"]);

  const get = await fetch(pollUrl);
  expect([get.status, get.headers.get("allow")]).toEqual([405, "POST"]);
  expect(await get.json()).toMatchObject({ code: "unimplemented" });

  for (const type of ["text/plain", "application/connect+proto", ""]) {
    const answer = await call(pollUrl, "{}", { "content-type": type });
    expect([type, answer.status]).toEqual([type, 415]);
    expect(answer.message).toContain("application/json");
  }
  const encoded = await call(pollUrl, "{}", { "content-encoding": "compress" });
  expect([encoded.status, encoded.code]).toEqual([501, "unimplemented"]);
  expect(encoded.message).toContain("gzip");
});

test("content types may carry parameters, in any letter case", async () => {
  const type = "Application/JSON; charset=utf-8";
  expect((await call(pollUrl, '{"actions":["a"]}', { "content-type": type })).status).toBe(200);
});

test("refusals carry the status of the one table; faults say nothing of their inside", async () => {
  const cases: [Error, number, string][] = [
    [new StoreFault("not_applied", "secret"), 503, "unavailable"],
    [new StoreFault("not_applied", "secret", { reason: "exhausted" }), 503, "resource_exhausted"],
    [new StoreFault("unknown", "secret"), 503, "unavailable"],
    [new Error("secret"), 500, "internal"],
  ];
  for (const [fault, status, code] of cases) {
    edge.store.getDocument = async () => {
      throw fault;
    };
    const url = pollUrl.replace("Poll", "RegisterActions");
    const answer = await call(url, '{"actions":[{"name":"a"}]}');
    expect([answer.status, answer.code]).toEqual([status, code]);
    expect(answer.message).not.toContain("secret");
  }
  const tooMany = rpcError(new OrchyError("TOO_MANY", "Too many polls."), "/", undefined);
  expect(tooMany).toEqual({ status: 429, code: "resource_exhausted", message: "Too many polls." });
});

test("Connect-Timeout-Ms: a poll ends empty ahead of it; a wrong one is refused", async () => {
  const started = performance.now();
  const body = '{"actions":["a"],"waitSeconds":30}';
  const answer = await call(pollUrl, body, { "connect-timeout-ms": "300" });
  expect(answer.json).toEqual({});
  expect(performance.now() - started).toBeLessThan(29_000);

  for (const timeout of ["-1", "1.5", "soon", "99999999999", "9999999999"]) {
    const refused = await call(pollUrl, body, { "connect-timeout-ms": timeout });
    expect([timeout, refused.status]).toEqual([timeout, 400]);
  }
});

test("Connect-Timeout-Ms ends a call whose body never comes", async () => {
  const head = requestHead("content-length: 10", "connect-timeout-ms: 100");
  expect(await sendRaw(edge.url, [head, "{"])).toStartWith("HTTP/1.1 504");
});

function requestHead(...lines: string[]): string {
  const path = "/orchy.v1.WorkerService/Poll";
  const head = [
    `POST ${path} HTTP/1.1`,
    "host: localhost",
    "content-type: application/json",
    ...lines,
  ];
  return `${head.join("\r\n")}\r\n\r\n`;
}

test("oversize requests are refused: announced, chunked, and unpacked", async () => {
  const tooMuch = limits.requestBytesMax + 1;
  expect(await sendRaw(edge.url, [requestHead(`content-length: ${tooMuch}`), "{"])).toStartWith(
    "HTTP/1.1 413",
  );

  const mebibyte = Buffer.alloc(1024 * 1024, " ");
  function* chunks() {
    yield requestHead("transfer-encoding: chunked");
    for (let i = 0; i < 17; i++) {
      yield `${mebibyte.length.toString(16)}\r\n`;
      yield mebibyte;
      yield "\r\n";
    }
  }
  expect(await sendRaw(edge.url, chunks())).toStartWith("HTTP/1.1 413");

  const bomb = gzipSync(Buffer.alloc(200 * 1024 * 1024, " "));
  const answer = await call(pollUrl, bomb, { "content-encoding": "gzip" });
  expect([answer.status, answer.code]).toEqual([413, "resource_exhausted"]);
  expect(answer.message).toContain(inBytes(limits.requestBytesMax));
});

test("gzip: what is not gzip is refused, what is cut off too", async () => {
  const packed = gzipSync('{"actions":["a"]}');
  const good = await call(pollUrl, packed, { "content-encoding": "gzip" });
  expect(good.status).toBe(200);
  for (const body of [Buffer.from("{}"), packed.subarray(0, packed.length - 4)]) {
    const answer = await call(pollUrl, body, { "content-encoding": "gzip" });
    expect([answer.status, answer.code]).toEqual([400, "invalid_argument"]);
  }
});

test("deep JSON is refused without a crash, be it a message's or a payload's", async () => {
  const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
  for (const body of [deep, `{"results":[{"token":"t","output":${deep}}]}`]) {
    const answer = await call(pollUrl, body);
    expect([answer.status, answer.code]).toEqual([400, "invalid_argument"]);
  }
});

test("protobuf messages decode as they were sent by the adapter", async () => {
  await edge.add("a", '{"x":1}');
  const body = toBinary(PollRequestSchema, create(PollRequestSchema, { actions: ["a"] }));
  const response = await fetch(pollUrl, {
    method: "POST",
    headers: { "content-type": "application/proto" },
    body,
  });
  expect(response.headers.get("content-type")).toBe("application/proto");
  const answer = fromBinary(PollResponseSchema, await response.bytes());
  expect(answer.tasks[0]?.parameters).toEqual({ x: 1 });
});
