/** Peers that are silent, slow to send or slow to read, at both ports, on a clock that runs faster. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { once } from "node:events";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  constants,
} from "node:http2";
import { connect } from "node:net";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { systemClock } from "../../src/base/clock.ts";
import { limits } from "../../src/base/limits.ts";
import { WorkerService } from "../../src/gen/orchy/v1/worker_pb.ts";
import {
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
} from "../support/orchy.ts";
import { complete, done, pollOne, single } from "./calls.ts";

const speed = 100;
const startedMs = systemClock.now();
const clock = {
  ...systemClock,
  now: () => startedMs + (systemClock.now() - startedMs) * speed,
  after: (ms: number, callback: () => void) => systemClock.after(ms / speed, callback),
};

let server: TestServer;
const sessions: ClientHttp2Session[] = [];

const start = (more = {}) => startTestServer({ store: "memory:", ...more });

beforeEach(async () => {
  server = await start({ parts: { clock } });
});
afterEach(async () => {
  for (const session of sessions.splice(0)) session.destroy();
  await server.remove();
});

function openSession(port: number, options = {}): ClientHttp2Session {
  const session = connectHttp2(`http://127.0.0.1:${port}`, options);
  session.on("error", () => undefined);
  sessions.push(session);
  return session;
}

/** Whether or not with an error. */
function closed(call: ClientHttp2Stream): Promise<void> {
  call.on("error", () => undefined);
  return new Promise((resolve) => call.once("close", () => resolve()));
}

const poll = { ":method": "POST", ":path": "/orchy.v1.WorkerService/Poll" };
const grpc = { ...poll, "content-type": "application/grpc", te: "trailers" };

/** Of as many bytes as it says. */
const envelope = (bytes: number) => {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes, 1);
  return head;
};

test("a gRPC connection that says nothing, or never ends its greeting, is closed", async () => {
  for (const said of ["", "PRI * HTTP/2.0\r\n"]) {
    const socket = connect(server.grpcPort, "127.0.0.1");
    socket.write(said);
    socket.resume();
    await once(socket, "close");
  }
});

test("a gRPC connection without a call is told to end; one with a parked poll is not", async () => {
  const idle = openSession(server.grpcPort);
  const busy = openSession(server.grpcPort);
  const call = busy.request(grpc);
  const message = Buffer.from(
    // PollRequest of the action "a", for 60 s.
    [0x0a, 1, 0x61, 0x21, ...new Uint8Array(new Float64Array([60]).buffer)],
  );
  call.end(Buffer.concat([envelope(message.length), message]));
  const left: string[] = [];
  call.on("response", () => left.push("answered"));
  idle.on("goaway", (code) => left.push(`idle ${code}`));
  busy.on("goaway", () => left.push("busy"));
  await once(idle, "close");
  // On this clock the poll waits for less long than a connection may idle.
  expect(left).toEqual(["answered", `idle ${constants.NGHTTP2_NO_ERROR}`]);
  expect(busy.destroyed).toBe(false);
});

test("a gRPC body that does not arrive ends its call alone", async () => {
  const session = openSession(server.grpcPort);
  for (const part of [Buffer.alloc(0), Buffer.concat([envelope(1_000_000), Buffer.alloc(5_000)])]) {
    const call = session.request(grpc);
    call.write(part);
    await closed(call);
    expect(call.rstCode).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }
  expect(session.closed).toBe(false);
});

async function addLarge(count: number): Promise<void> {
  await saveWorkflow(server, single("large", { parameters: "$.input" }));
  const input = { text: "x".repeat(2_900_000) };
  for (let n = 0; n < count; n++) await startInTime("large", input);
}

/** On a busy machine the body may come too late for a clock that runs faster. */
async function startInTime(workflow: string, input: object): Promise<void> {
  const refused = await startExecution(server, workflow, input).then(
    () => undefined,
    (error: Error) => error,
  );
  if (refused === undefined) return;
  if (!refused.message.includes("REQUEST_TIMEOUT")) throw refused;
  await startInTime(workflow, input);
}

test("an answer of gRPC that nobody takes is dropped", async () => {
  await addLarge(1);
  const session = openSession(server.grpcPort, { settings: { initialWindowSize: 0 } });
  const call = session.request(grpc);
  const message = Buffer.from([0x0a, 5, ...Buffer.from("large")]);
  call.end(Buffer.concat([envelope(message.length), message]));
  await closed(call);
  expect(call.rstCode).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
});

test("large answers that are taken all arrive, though many come at once on one connection", async () => {
  await server.remove();
  server = await start();
  const count = 12;
  await addLarge(count);
  const baseUrl = `http://127.0.0.1:${server.grpcPort}`;
  const client = createClient(WorkerService, createGrpcTransport({ baseUrl }));
  const polls = Array.from({ length: count }, () =>
    client.poll({ actions: ["large"], maxTasks: 1 }),
  );
  const answers = await Promise.all(polls);
  expect(answers.map(({ tasks }) => tasks.length)).toEqual(polls.map(() => 1));
});

test("an answer of REST that nobody takes is cut off, one that is taken is whole", async () => {
  await saveWorkflow(server, single("result"));
  const id = await startExecution(server, "result");
  const text = "é".repeat(1_000_000);
  await complete(server, done(await pollOne(server, "result"), text));
  const path = `/v1/executions/${id}/result`;
  const taken = await fetch(server.url + path);
  expect(((await taken.json()) as { result: string }).result === text).toBe(true);

  for (const each of [path, `/v1/executions/${id}`]) await expectCutOff(each);
});

async function expectCutOff(path: string): Promise<void> {
  const session = openSession(server.httpPort, { settings: { initialWindowSize: 0 } });
  const call = session.request({ ":path": path });
  const ended = closed(call);
  await once(call, "response");
  // Nothing tells that what was held for it is gone, but that it does not come any more.
  await new Promise<void>((resolve) => clock.after(2 * limits.responseMs, resolve));
  let bytes = 0;
  call.on("data", (piece: Buffer) => {
    bytes += piece.length;
  });
  session.settings({ initialWindowSize: 2 ** 30 });
  session.setLocalWindowSize(2 ** 30);
  await ended;
  expect(bytes).toBeLessThan(100_000);
}
