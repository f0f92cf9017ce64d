/** The gRPC port: worker service, errors and limits, health, reflection, drain. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { limits } from "../../../src/base/limits.ts";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../../src/gen/grpc/health/v1/health_pb.ts";
import {
  ServerReflection,
  type ServerReflectionRequest,
} from "../../../src/gen/grpc/reflection/v1/reflection_pb.ts";
import { WorkerService } from "../../../src/gen/orchy/v1/worker_pb.ts";
import { StoreFault } from "../../../src/store/store.ts";
import { untilParked } from "../../support/metrics.ts";
import { type Edge, startEdge } from "./edge.ts";

let edge: Edge;
let sessions: Http2SessionManager;
let transport: Transport;

beforeEach(async () => {
  edge = await startEdge();
  sessions = new Http2SessionManager(edge.grpcUrl);
  transport = createGrpcTransport({ baseUrl: edge.grpcUrl, sessionManager: sessions });
});
afterEach(async () => {
  sessions.abort();
  await edge.stop();
});

const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    (error) => ConnectError.from(error).code,
  );

test("a worker's round: poll, result with the next poll, errors with their codes", async () => {
  const client = createClient(WorkerService, transport);
  await edge.add("a", '{"x":[1,{"y":null}]}');
  const { tasks } = await client.poll({ actions: ["a"], waitSeconds: 5 });
  expect(tasks[0]).toMatchObject({ action: "a", parameters: { x: [1, { y: null }] } });
  const outputJson = new TextEncoder().encode('"done"');
  const results = [{ token: tasks[0]!.token, outputJson }];
  expect((await client.poll({ actions: ["a"], results })).results).toMatchObject([{ status: 1 }]);

  expect(await codeOf(client.poll({}))).toBe(Code.InvalidArgument);
  let thrown: Error = new StoreFault("not_applied", "away");
  edge.store.getDocument = async () => {
    throw thrown;
  };
  const registration = { actions: [{ name: "a" }] };
  expect(await codeOf(client.registerActions(registration))).toBe(Code.Unavailable);
  thrown = new Error("secret");
  const fault = await client.registerActions(registration).catch(ConnectError.from);
  expect(fault).toMatchObject({ code: Code.Internal, rawMessage: "A fault in Orchy." });
});

test("problems are told in full up to what fits a header, then counted", async () => {
  const client = createClient(WorkerService, transport);
  const actions = Array.from({ length: 500 }, (_, index) => ({
    name: `a-${index}`,
    retryCount: -1,
  }));
  const error = await client.registerActions({ actions }).catch(ConnectError.from);
  expect(error).toMatchObject({ code: Code.InvalidArgument });
  expect((error as ConnectError).rawMessage).toMatch(/\/actions\/0\/retryCount.*and \d+ more$/s);
});

test("a parked poll hears of a task at once", async () => {
  const client = createClient(WorkerService, transport);
  const polling = client.poll({ actions: ["a"], waitSeconds: 60 });
  await untilParked(edge, 1);
  await edge.add("a", "{}");
  expect((await polling).tasks).toHaveLength(1);
});

test("a caller's deadline ends a poll empty ahead of it; one out of range is refused", async () => {
  const client = createClient(WorkerService, transport);
  const request = { actions: ["a"], waitSeconds: 60 };
  // It answers a tenth of the time ahead: on a machine under load only a longer one is enough.
  const answers = [];
  for (const timeoutMs of [2_000, 8_000, 20_000]) {
    answers.push(await client.poll(request, { timeoutMs }).catch(() => undefined));
    if (answers.at(-1) !== undefined) break;
  }
  expect(answers.at(-1)?.tasks).toEqual([]);
  const headers = { "grpc-timeout": "90000S" };
  expect(await codeOf(client.poll(request, { headers }))).toBe(Code.InvalidArgument);
}, 120_000);

test("oversize messages and metadata are refused, and the server goes on", async () => {
  const client = createClient(WorkerService, transport);
  const big = new Uint8Array(limits.requestBytesMax);
  const call = client.complete({ results: [{ token: "t", outputJson: big }] });
  expect(await codeOf(call)).toBe(Code.ResourceExhausted);

  const headers = { "x-large": "x".repeat(100_000) };
  expect(await codeOf(client.poll({ actions: ["a"] }, { headers }))).toBeDefined();
  sessions.abort();
  const fresh = createClient(WorkerService, createGrpcTransport({ baseUrl: edge.grpcUrl }));
  expect((await fresh.poll({ actions: ["a"] })).tasks).toEqual([]);
});

test("connections that speak no HTTP/2, or break off, do no harm", async () => {
  const { hostname, port } = new URL(edge.grpcUrl);
  const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  for (const bytes of [
    "GET / HTTP/1.1\r\n\r\n",
    `${preface}\x00\x00`,
    `${preface}${"\xff".repeat(99)}`,
  ]) {
    await new Promise<void>((resolve) => {
      const socket = connect(Number(port), hostname, () => socket.end(bytes, "latin1"));
      socket.resume();
      socket.on("error", () => undefined);
      socket.on("close", () => resolve());
    });
  }
  const client = createClient(WorkerService, transport);
  expect((await client.poll({ actions: ["a"] })).tasks).toEqual([]);
});

/** A poll as bytes, and all heads of what came back as one. */
async function rawPoll(headers: Record<string, string>, message: Uint8Array) {
  const session = connectHttp2(edge.grpcUrl);
  const path = "/orchy.v1.WorkerService/Poll";
  const call = session.request({ ":method": "POST", ":path": path, te: "trailers", ...headers });
  const heads: Record<string, unknown> = {};
  for (const event of ["response", "trailers"]) {
    call.on(event, (head: object) => Object.assign(heads, head));
  }
  call.resume();
  call.end(message);
  await once(call, "close");
  session.close();
  return heads;
}

test("the wire of gRPC: statuses in trailers, encodings and content types", async () => {
  const empty = Buffer.alloc(5);
  const wrong = await rawPoll({ "content-type": "application/grpc" }, empty);
  expect(wrong).toMatchObject({
    ":status": 200,
    "content-type": "application/grpc+proto",
    "grpc-status": "3",
    "grpc-message": expect.stringContaining("actions"),
  });
  const proto = await rawPoll({ "content-type": "application/grpc+proto" }, empty);
  expect(proto).toMatchObject({ "content-type": "application/grpc+proto", "grpc-status": "3" });

  const packed = Buffer.concat([Buffer.from([1]), Buffer.alloc(4)]);
  const snappy = { "content-type": "application/grpc", "grpc-encoding": "snappy" };
  expect(await rawPoll(snappy, packed)).toMatchObject({
    ":status": 200,
    "grpc-status": "12",
    "grpc-message": expect.stringContaining("gzip"),
  });
  for (const type of ["text/plain", "application/json", "application/grpcx"]) {
    expect(await rawPoll({ "content-type": type }, empty)).toMatchObject({ ":status": 415 });
  }
});

test("unknown methods are unimplemented", async () => {
  const method = { ...WorkerService.method.poll, name: "Nope" };
  const call = transport.unary(method, undefined, undefined, undefined, {});
  expect(await codeOf(call)).toBe(Code.Unimplemented);
});

test("health follows readiness; unknown services are NOT_FOUND", async () => {
  const health = createClient(Health, transport);
  for (const service of ["", "orchy.v1.WorkerService", "TaskService", "grpc.health.v1.Health"]) {
    expect((await health.check({ service })).status).toBe(Status.SERVING);
  }
  edge.store.pressure = async () => ({ used: 1 });
  expect((await health.check({})).status).toBe(Status.NOT_SERVING);
  expect(await codeOf(health.check({ service: "nope" }))).toBe(Code.NotFound);
});

test("watching health: the status at once, then each change, then the drain", async () => {
  const health = createClient(Health, transport);
  const seen: Status[] = [];
  for await (const { status } of health.watch({})) {
    seen.push(status);
    if (seen.length === 1) edge.store.pressure = async () => ({ used: 1 });
    if (seen.length === 2) edge.store.pressure = async () => ({ used: 0 });
    if (seen.length === 3) void edge.stop();
  }
  const { SERVING, NOT_SERVING } = Status;
  expect(seen).toEqual([SERVING, NOT_SERVING, SERVING, NOT_SERVING]);
});

test.each(["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"])(
  "reflection under %s describes every service",
  async (typeName) => {
    const { method } = ServerReflection;
    const parent = { ...ServerReflection, typeName };
    const service = {
      ...parent,
      method: { serverReflectionInfo: { ...method.serverReflectionInfo, parent } },
      methods: [{ ...method.serverReflectionInfo, parent }],
    } as typeof ServerReflection;
    const client = createClient(service, transport);
    const ask = async (messageRequest: ServerReflectionRequest["messageRequest"]) => {
      async function* one() {
        yield { messageRequest };
      }
      for await (const { messageResponse } of client.serverReflectionInfo(one())) {
        return messageResponse;
      }
      throw new Error("no answer");
    };

    const list = await ask({ case: "listServices", value: "" });
    const listed = list.case === "listServicesResponse" ? list.value.service : [];
    expect(listed.map(({ name }) => name).sort()).toEqual([
      "ActionService",
      "TaskService",
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "orchy.v1.WorkerService",
    ]);
    for (const [symbol, file] of [
      ["orchy.v1.WorkerService", "orchy/v1/worker.proto"],
      ["orchy.v1.TaskResult", "orchy/v1/worker.proto"],
      ["TaskResult.Status", "legacy/task_service.proto"],
      ["Server", "legacy/common.proto"],
    ] as const) {
      const found = await ask({ case: "fileContainingSymbol", value: symbol });
      const files = found.case === "fileDescriptorResponse" ? found.value.fileDescriptorProto : [];
      const names = files.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name);
      expect(names[0]).toBe(file);
    }
    const missing = await ask({ case: "fileContainingSymbol", value: "nope" });
    expect(missing).toMatchObject({ case: "errorResponse", value: { errorCode: Code.NotFound } });
  },
);

test("drain: no new connections, calls under way end, idle connections are closed", async () => {
  const idle = new Http2SessionManager(edge.grpcUrl);
  const bystander = createGrpcTransport({ baseUrl: edge.grpcUrl, sessionManager: idle });
  await createClient(Health, bystander).check({});

  const poll = createClient(WorkerService, transport).poll({ actions: ["a"], waitSeconds: 60 });
  await untilParked(edge, 1);
  const stopped = edge.stop();
  const late = createGrpcTransport({ baseUrl: edge.grpcUrl });
  expect(await codeOf(createClient(Health, late).check({}))).toBe(Code.Unavailable);

  expect((await poll).draining).toBe(true);
  await stopped;
});
