/** A caller that goes away takes no tasks with it, however its connection ends. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { once } from "node:events";
import { connect as connectHttp2, constants } from "node:http2";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { WorkerService } from "../../../src/gen/orchy/v1/worker_pb.ts";
import { untilParked } from "../../support/metrics.ts";
import { type Edge, startEdge } from "./edge.ts";
import { call } from "./http.ts";

let edge: Edge;

beforeEach(async () => {
  edge = await startEdge();
});
afterEach(() => edge.stop());

const parked = () => untilParked(edge, 1);

const path = "/orchy.v1.WorkerService/Poll";
const body = '{"actions":["a"],"waitSeconds":60}';
const headers = { ":method": "POST", ":path": path, "content-type": "application/json" };

/** The poll is over for the orchestrator, and the next task goes to somebody who is there. */
async function expectGone(): Promise<void> {
  await untilParked(edge, 0);
  await edge.add("a", '{"x":1}');
  const { tasks } = (await call(`${edge.url}${path}`, '{"actions":["a"]}')).json;
  expect(tasks.map(({ parameters }: { parameters: unknown }) => parameters)).toEqual([{ x: 1 }]);
}

test("HTTP/1.1: the connection is closed", async () => {
  const socket = await openSocket(edge.url);
  const length = `content-length: ${body.length}`;
  socket.write(
    `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n${length}`,
  );
  socket.write(`\r\n\r\n${body}`);
  await parked();
  socket.destroy();
  await expectGone();
});

test("HTTP/1.1: fetch is aborted", async () => {
  const controller = new AbortController();
  const sent = fetch(`${edge.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
    signal: controller.signal,
  });
  await parked();
  controller.abort();
  expect(await sent.then(String, (error) => error.name)).toBe("AbortError");
  await expectGone();
});

test("HTTP/2: the stream is reset, and its connection goes on", async () => {
  const session = connectHttp2(edge.url);
  try {
    const stream = session.request(headers);
    stream.on("error", () => undefined);
    stream.end(body);
    await parked();
    stream.close(constants.NGHTTP2_CANCEL);
    await expectGone();
    const next = session.request(headers);
    next.end('{"actions":["a"]}');
    const [response] = await once(next, "response");
    expect(response[":status"]).toBe(200);
  } finally {
    session.destroy();
  }
});

test("gRPC: the call is cancelled", async () => {
  const controller = new AbortController();
  const transport = createGrpcTransport({ baseUrl: edge.grpcUrl });
  const poll = createClient(WorkerService, transport).poll(
    { actions: ["a"], waitSeconds: 60 },
    { signal: controller.signal },
  );
  await parked();
  controller.abort();
  expect(await poll.then(String, (error) => error.name)).toBe("ConnectError");
  await expectGone();
});

test.each(["http", "grpc"] as const)("HTTP/2, %s port: the connection is cut", async (port) => {
  const url = port === "http" ? edge.url : edge.grpcUrl;
  const proxy = await startProxy(url);
  const transport =
    port === "http"
      ? createConnectTransport({ baseUrl: proxy.url, httpVersion: "2" })
      : createGrpcTransport({ baseUrl: proxy.url });
  const poll = createClient(WorkerService, transport).poll({ actions: ["a"], waitSeconds: 60 });
  const ended = poll.then(String, (error) => error.name);
  await parked();
  proxy.cut();
  expect(await ended).toBe("ConnectError");
  await expectGone();
});

test("tasks that are leased just as the caller goes are given back at once", async () => {
  const id = await edge.add("a", '{"x":1}');
  const controller = new AbortController();
  const claiming = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const claimTasks = edge.store.claimTasks.bind(edge.store);
  edge.store.claimTasks = async (request) => {
    claiming.resolve();
    await gate.promise;
    return claimTasks(request);
  };
  const sent = fetch(`${edge.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
    signal: controller.signal,
  }).catch(() => undefined);
  await claiming.promise;
  controller.abort();
  await sent;
  await untilParked(edge, 0);
  gate.resolve();
  const { tasks } = (await call(`${edge.url}${path}`, '{"actions":["a"],"waitSeconds":20}')).json;
  expect(tasks).toMatchObject([{ executionId: id, attempt: 1 }]);
});

function openSocket(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => resolve(socket));
  });
}

/** Carries bytes to `target` until it is cut, both ways at once and without a word. */
async function startProxy(target: string): Promise<{ url: string; cut(): void }> {
  const open = new Set<Socket>();
  const server = createServer((near) => {
    const { hostname, port } = new URL(target);
    const far = connect(Number(port), hostname);
    for (const socket of [near, far]) {
      open.add(socket);
      socket.on("error", () => undefined);
    }
    near.pipe(far);
    far.pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut() {
      for (const socket of open) socket.destroy();
      server.close();
    },
  };
}
