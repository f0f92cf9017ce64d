/** What the two kinds of connection promise when a server, or the network, does not play along. */
import { afterEach, expect, test } from "bun:test";
import { once } from "node:events";
import { createServer as createHttp1Server } from "node:http";
import {
  createServer as createHttp2Server,
  type Http2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { type AddressInfo, connect, createServer as createTcpServer, type Server } from "node:net";
import { openHttp1 } from "../../src/worker/http1.ts";
import { openHttp2 } from "../../src/worker/http2.ts";
import { CallError, type Connection } from "../../src/worker/transport.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const clean of cleanups.splice(0).reverse()) clean();
});

async function listen(server: Server): Promise<URL> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(() => server.close());
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

function kept(connection: Connection): Connection {
  cleanups.push(() => connection.destroy());
  return connection;
}

function post(connection: Connection, path = "/x", abort?: AbortSignal) {
  return connection.post({ path, body: new Uint8Array([1, 2, 3]), timeoutMs: 60_000, abort });
}

async function failureOf(call: Promise<unknown>): Promise<CallError> {
  const error = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(CallError);
  return error as CallError;
}

/** Responds as the path says; `seen` resolves when a request came, `gone` when its client left. */
function scripted() {
  const [seen, gone] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const respond = (path: string, response: NodeJS.WritableStream & Responder): void => {
    seen.resolve();
    response.on("close", () => gone.resolve());
    if (path === "/parked") return;
    response.writeHead(200, path === "/cut" ? { "content-length": "10" } : {});
    response.write("12345");
    if (path === "/cut") setImmediate(() => response.destroy(new Error("cut")));
    else response.end();
  };
  return { respond, seen: seen.promise, gone: gone.promise };
}

interface Responder {
  writeHead(status: number, headers: Record<string, string>): unknown;
  destroy(error: Error): unknown;
}

for (const [name, open] of [
  ["http1", openHttp1],
  ["http2", openHttp2],
] as const) {
  async function start() {
    const script = scripted();
    const server =
      name === "http1"
        ? createHttp1Server((request, response) => script.respond(request.url!, response))
        : createHttp2Server((request, response) =>
            script.respond(request.url, response as unknown as NodeJS.WritableStream & Responder),
          );
    return { ...script, connection: kept(open(await listen(server as Server), {})) };
  }

  test(`${name}: a body that ends early is no response`, async () => {
    const { connection } = await start();
    expect(await failureOf(post(connection, "/cut"))).toMatchObject({
      code: "unavailable",
      broken: true,
    });
    expect(Buffer.from((await post(connection, "/whole")).body).toString()).toBe("12345");
  });

  test(`${name}: the server sees that a call was given up`, async () => {
    const { connection, seen, gone } = await start();
    const abort = new AbortController();
    const call = failureOf(post(connection, "/parked", abort.signal));
    await seen;
    abort.abort();
    expect(await call).toMatchObject({ code: "canceled", broken: false });
    await gone;
  });
}

test("http2: a call under way is answered after GOAWAY, and the next one is refused", async () => {
  const server = createHttp2Server();
  const arrived = Promise.withResolvers<Http2Session>();
  const finish = Promise.withResolvers<void>();
  server.on("stream", async (stream: ServerHttp2Stream) => {
    arrived.resolve(stream.session!);
    await finish.promise;
    stream.respond({ ":status": 200 });
    stream.end("done");
  });
  const connection = kept(openHttp2(await listen(server as unknown as Server), {}));
  const call = post(connection);
  (await arrived.promise).goaway();
  // Until GOAWAY has come the server accepts calls, which are given up here.
  let refused: CallError | undefined;
  while (refused === undefined) {
    const abort = new AbortController();
    const next = failureOf(post(connection, "/next", abort.signal));
    setTimeout(() => abort.abort(), 20);
    const error = await next;
    if (error.code !== "canceled") refused = error;
  }
  expect(refused).toMatchObject({ code: "unavailable", broken: false });
  finish.resolve();
  expect(Buffer.from((await call).body).toString()).toBe("done");
});

test("http2: a connection that hangs is given up", async () => {
  const server = createHttp2Server();
  const arrived = Promise.withResolvers<void>();
  server.on("stream", () => arrived.resolve());
  const { port } = await listen(server as unknown as Server);
  const proxy = createTcpServer((client) => {
    const upstream = connect(Number(port), "127.0.0.1");
    client.pipe(upstream).pipe(client);
    // From here on nothing passes, and nothing is closed.
    void arrived.promise.then(() => client.unpipe() && upstream.unpipe());
    for (const socket of [client, upstream]) socket.on("error", () => {});
    cleanups.push(() => client.destroy() && upstream.destroy());
  });
  const connection = kept(
    openHttp2(await listen(proxy), {}, { everyMs: 20, answeredWithinMs: 20 }),
  );
  expect(await failureOf(post(connection))).toMatchObject({
    code: "unavailable",
    broken: true,
    message: "the server does not answer pings",
  });
});
