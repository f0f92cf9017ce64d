/** Callers that take one port for the other: what they are shown names the right one. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect as connectHttp2, constants, type IncomingHttpHeaders } from "node:http2";
import { connect } from "node:net";
import { Worker } from "../../src/worker/index.ts";
import { startTestServer, type TestServer } from "../support/orchy.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ store: "memory:" });
});
afterAll(() => server.remove());

interface Answer {
  readonly headers: IncomingHttpHeaders;
  /** The headers end the answer, so that clients of gRPC read them as trailers. */
  readonly ends: boolean;
  readonly body: string;
}

function overHttp2(port: number, headers: Record<string, string>): Promise<Answer> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const stream = session.request({ ":method": "POST", ...headers });
  let [ends, body]: [boolean, string] = [false, ""];
  let received: IncomingHttpHeaders = {};
  stream.on("response", (answered, flags) => {
    received = answered;
    ends = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
  });
  stream.setEncoding("utf8");
  stream.on("data", (text) => {
    body += text;
  });
  stream.on("end", () => resolve({ headers: received, ends, body }));
  stream.on("error", reject);
  stream.end();
  return promise.finally(() => session.close());
}

const needsHttp = () => ({
  code: "unimplemented",
  message: expect.stringMatching(new RegExp(`served on port ${server.httpPort}\\.$`)),
});

test("HTTP/1.1 at the gRPC port is shown the HTTP port", async () => {
  const url = `http://127.0.0.1:${server.grpcPort}`;
  for (const request of [
    new Request(`${url}/health/live`),
    new Request(`${url}/v1/executions`, { method: "POST", body: "{}" }),
  ]) {
    const answer = await fetch(request);
    expect([answer.status, await answer.json()]).toEqual([505, needsHttp()]);
  }
});

test("HTTP/2 without gRPC at the gRPC port is shown the HTTP port", async () => {
  const type = { "content-type": "application/json" };
  const [page, poll] = await Promise.all([
    overHttp2(server.grpcPort, { ":method": "GET", ":path": "/health/live" }),
    overHttp2(server.grpcPort, { ":path": "/orchy.v1.WorkerService/Poll", ...type }),
  ]);
  expect([page.headers[":status"], JSON.parse(page.body)]).toEqual([404, needsHttp()]);
  expect([poll.headers[":status"], JSON.parse(poll.body)]).toEqual([415, needsHttp()]);
});

test("gRPC at the HTTP port is shown the gRPC port, in the status that its clients read", async () => {
  for (const path of [
    "/orchy.v1.WorkerService/Poll",
    "/orchy.v1.WorkerService/Nope",
    "/TaskService/Poll",
    "/grpc.health.v1.Health/Check",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
  ]) {
    const type = { "content-type": "application/grpc", te: "trailers" };
    const { headers, ends } = await overHttp2(server.httpPort, { ":path": path, ...type });
    expect({ path, ends, ...headers }).toMatchObject({
      path,
      ends: true,
      ":status": 200,
      "grpc-status": "12",
      "content-type": "application/grpc",
      "grpc-message": `This port does not serve gRPC. Use port ${server.grpcPort}.`,
    });
  }
});

test("a TypeScript worker at the gRPC port does not start, and says which port it needs", async () => {
  for (const transport of ["http2", "http1"] as const) {
    const address = `http://127.0.0.1:${server.grpcPort}`;
    const worker = new Worker({ server: address, transport }).action("greet", () => "hello");
    await expect(worker.start()).rejects.toThrow(`served on port ${server.httpPort}.`);
  }
});

test("a connection that comes in pieces to the gRPC port is served", async () => {
  const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
  const socket = connect(server.grpcPort, "127.0.0.1");
  const greeted = new Promise<Buffer>((resolve) => socket.once("data", resolve));
  socket.setNoDelay(true);
  for (const byte of [...preface, ...settings]) {
    socket.write(Buffer.from([byte]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  // The type of its first frame: settings.
  expect((await greeted)[3]).toBe(4);
  socket.destroy();
});
