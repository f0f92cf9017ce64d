/** Which requests are let in, by their host, origin and content type, as they come to the real ports. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { hostname } from "node:os";
import { text as textOf } from "node:stream/consumers";
import { allRoutes } from "../../src/api/rest/routes.ts";
import { workerServices } from "../../src/api/rpc/services.ts";
import { systemClock } from "../../src/base/clock.ts";
import { limits } from "../../src/base/limits.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { call, startTestServer, type TestServer } from "../support/orchy.ts";

const flags = [
  ...["--allowed-hosts", "orchy.example,second.example"],
  ...["--advertise", "workers.example:8099"],
  ...["--cors-origin", "https://ui.example"],
];
let open: TestServer;
let guarded: TestServer;
let insecure: TestServer;
let key: string;

/** Makes the first key with the secret of the start. */
async function makeKey(server: TestServer): Promise<string> {
  const headers = { authorization: `Bearer ${server.firstKeySecret}` };
  const wanted = { name: "me", scopes: ["admin"] };
  return (await call(server, "POST", "/v1/keys", wanted, headers)).body.key;
}

beforeAll(async () => {
  const start = (...more: string[]) =>
    startTestServer({ store: "memory:", flags: [...flags, ...more] });
  [open, guarded, insecure] = await Promise.all([start(), start(), start("--insecure")]);
  key = await makeKey(guarded);
  await makeKey(insecure);
});
afterAll(() => Promise.all([open, guarded, insecure].map((server) => server.remove())));

interface Sent {
  readonly line: string;
  readonly headers?: readonly string[];
  readonly body?: string;
}

/** Sends the text as it is; `PORT` in it is the server's. Returns the status and the whole answer. */
async function send(server: TestServer, { line, headers = [], body = "" }: Sent) {
  const socket = connect(server.httpPort, "127.0.0.1");
  const length = body === "" ? [] : [`content-length: ${body.length}`];
  const head = [line, ...headers, "connection: close", ...length].join("\r\n");
  socket.end(`${head}\r\n\r\n${body}`.replaceAll("PORT", String(server.httpPort)));
  const answer = await textOf(socket);
  return { status: Number(answer.split(" ", 2)[1]), answer };
}

const live = "GET /health/live HTTP/1.1";
const own = "host: 127.0.0.1:PORT";

const hosts: readonly [string, number][] = [
  ["127.0.0.1", 200],
  ["127.0.0.1:PORT", 200],
  ["10.1.2.3:1", 200],
  ["[::1]", 200],
  ["[::1]:PORT", 200],
  ["[::ffff:127.0.0.1]:PORT", 200],
  ["localhost:PORT", 200],
  ["LocalHost", 200],
  ["localhost.:PORT", 200],
  ["localhost:", 200],
  ["orchy.localhost", 200],
  ["orchy.example", 200],
  ["Second.Example.:1", 200],
  ["workers.example:PORT", 200],
  [hostname(), 200],
  ["evil.example", 421],
  ["evil.example:PORT", 421],
  ["my-orchy.example", 421],
  ["orchy.example.evil", 421],
  ["localhost.evil", 421],
  ["127.0.0.1.evil", 421],
  ["127.1", 421],
  ["2130706433", 421],
  ["::1", 421],
  ["[localhost]", 421],
  ["localhost..", 421],
  ["user@localhost", 421],
  ["user:secret@localhost", 421],
  ["localhost:port", 421],
  ["localhost/", 421],
  // Browsers reach the loopback interface by them, past what guards it.
  ["0.0.0.0:PORT", 421],
  ["0.1.2.3", 421],
  ["[::]:PORT", 421],
  ["[0:0:0:0:0:0:0:0]", 421],
  ["[::0.0.0.0]", 421],
  ["[::ffff:0.0.0.0]", 421],
  ["[::ffff:0:0]", 421],
  ["[f::]", 200],
  ["", 200],
  ["localhost, evil.example", 400],
];

describe("the host", () => {
  test.each(hosts)("%p without a key: %p", async (host, status) => {
    const { status: seen, answer } = await send(open, { line: live, headers: [`host: ${host}`] });
    expect(seen).toBe(status);
    if (status === 421) expect(answer).toContain("--allowed-hosts");
  });

  test("may be missing, as in probes, but not for pages", async () => {
    const line = "GET /health/live HTTP/1.0";
    expect((await send(open, { line })).status).toBe(200);
    expect((await send(open, { line, headers: ["origin: http://evil.example"] })).status).toBe(403);
  });

  test("that is sent twice is refused", async () => {
    for (const server of [open, guarded, insecure]) {
      const twice = ["host: localhost", "host: localhost"];
      const { status, answer } = await send(server, { line: live, headers: twice });
      expect([status, answer.includes("given twice")]).toEqual([400, true]);
    }
  });

  test("does not matter where callers need a key, and does with --insecure", async () => {
    const evil = { line: live, headers: ["host: evil.example"] };
    expect((await send(guarded, evil)).status).toBe(200);
    expect((await send(insecure, evil)).status).toBe(421);
  });

  test("counts for every route, whatever content type is told", async () => {
    const headers = ["host: evil.example", "content-type: application/grpc"];
    for (const path of ["/v1/executions", "/TaskService/Poll"]) {
      expect((await send(open, { line: `GET ${path} HTTP/1.1`, headers })).status).toBe(421);
    }
    const posted = { line: "POST /flow/execute HTTP/1.1", headers, body: '{"name":"none"}' };
    expect((await send(open, posted)).status).toBe(421);
  });

  test("counts over HTTP/2, too", async () => {
    expect(await over2(open.httpPort, { ":authority": "evil.example" })).toBe(421);
    expect(await over2(open.httpPort, { ":authority": "localhost:1" })).toBe(200);
    expect(await over2(open.httpPort, { host: "evil.example" })).toBe(421);
  });
});

/** Status of the answer of `/health/live`, or of what the headers name. */
async function over2(port: number, headers: Record<string, string>): Promise<number> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  try {
    const stream = session.request({ ":path": "/health/live", ...headers });
    stream.end();
    const [answer] = await once(stream, "response");
    stream.resume();
    await once(stream, "close");
    return answer[":status"];
  } finally {
    session.destroy();
  }
}

/** Own pages are where the request goes, by name and port, or at a name that the operator gave. */
const origins: readonly [host: string, origin: string, isOwn: boolean][] = [
  ["127.0.0.1:PORT", "http://127.0.0.1:PORT", true],
  ["127.0.0.1:PORT", "https://127.0.0.1:PORT", true],
  ["localhost:PORT", "http://localhost:PORT", true],
  ["LOCALHOST.:PORT", "http://localhost:PORT", true],
  ["[::1]:PORT", "http://[::1]:PORT", true],
  ["localhost", "http://localhost", true],
  ["localhost:80", "http://localhost", true],
  ["localhost:443", "https://localhost", true],
  ["localhost", "https://localhost", true],
  ["127.0.0.1:PORT", "https://orchy.example", true],
  ["127.0.0.1:PORT", "http://second.example:8000", true],
  ["127.0.0.1:PORT", "https://workers.example", true],
  ["127.0.0.1:PORT", "https://ui.example", true],
  ["localhost:80", "https://localhost", false],
  ["127.0.0.1:PORT", "http://127.0.0.1:1", false],
  ["127.0.0.1:PORT", "http://127.0.0.1", false],
  ["127.0.0.1:PORT", "http://localhost:PORT", false],
  ["127.0.0.1:PORT", "http://ui.example", false],
  ["127.0.0.1:PORT", "https://ui.example:444", false],
  ["127.0.0.1:PORT", "https://evil.example", false],
  ["127.0.0.1:PORT", "https://orchy.example.evil", false],
  ["127.0.0.1:PORT", "http://user@127.0.0.1:PORT", false],
  ["127.0.0.1:PORT", "ftp://127.0.0.1:PORT", false],
  ["127.0.0.1:PORT", "chrome-extension://orchy.example", false],
  ["127.0.0.1:PORT", "http://127.0.0.1:PORT, http://127.0.0.1:PORT", false],
  ["127.0.0.1:PORT", "127.0.0.1:PORT", false],
  ["127.0.0.1:PORT", "null", false],
  ["127.0.0.1:PORT", "", false],
];

const json = "content-type: application/json";
const web = "content-type: application/grpc-web+proto";
/** One of each kind: read, changed, the legacy REST, Connect, the legacy wire, gRPC-Web. */
const requests: readonly Sent[] = [
  { line: "GET /v1/workflows HTTP/1.1" },
  { line: "POST /v1/workflows/validate HTTP/1.1", headers: [json], body: "{}" },
  { line: "POST /flow/execute HTTP/1.1", headers: [json], body: '{"name":"none"}' },
  {
    line: "POST /orchy.v1.WorkerService/Poll HTTP/1.1",
    headers: [json],
    body: '{"actions":["a"]}',
  },
  { line: "POST /ActionService/GetServers HTTP/1.1", headers: [json], body: "{}" },
  { line: "POST /TaskService/GetServers HTTP/1.1", headers: [web], body: "\0\0\0\0\0" },
];

describe("the origin", () => {
  test.each(origins)("at %p of %p is own: %p", async (host, origin, isOwn) => {
    for (const { line, headers = [], body = "" } of requests) {
      const authorization = `authorization: Bearer ${key}`;
      const page = [...headers, authorization, `host: ${host}`, `origin: ${origin}`];
      for (const server of [open, guarded]) {
        const { status, answer } = await send(server, { line, headers: page, body });
        expect(status === 403, `${line} ${answer}`).toBe(!isOwn);
        if (!isOwn) expect(answer).toContain("--cors-origin");
      }
    }
  });

  test("of a name that leads here by chance is refused for the name", async () => {
    for (const { line, headers = [], body = "" } of requests) {
      const page = ["host: evil.example:PORT", "origin: http://evil.example:PORT"];
      expect((await send(open, { line, headers: [...headers, ...page], body })).status).toBe(421);
    }
  });
});

describe("the content type", () => {
  const execution = "00000000-0000-7000-8000-000000000000";
  const paths: readonly [path: string, body: string][] = [
    ["/v1/executions", '{"workflow":"none"}'],
    [`/v1/executions/${execution}/pause`, ""],
    ["/workflow", "{}"],
    ["/metadata/action", "{}"],
    ["/flow/execute", '{"name":"none"}'],
    ["/event", "{}"],
  ];
  const types = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
  ];

  test.each(paths)("of what a page posts to %s is JSON", async (path, body) => {
    const line = `POST ${path} HTTP/1.1`;
    const page = [own, "origin: http://127.0.0.1:PORT"];
    for (const type of [undefined, ...types]) {
      const headers = type === undefined ? page : [...page, `content-type: ${type}`];
      expect((await send(open, { line, headers, body })).status).toBe(415);
    }
    expect((await send(open, { line, headers: [...page, json], body })).status).not.toBe(415);
  });

  test.each(paths)("of what others post to %s may be missing", async (path, body) => {
    const { status } = await send(open, { line: `POST ${path} HTTP/1.1`, headers: [own], body });
    expect(status).not.toBe(415);
  });
});

test("the log names once what is refused, and no more than some", async () => {
  const lines: { message: string; name?: string }[] = [];
  const write = (line: string) => lines.push(JSON.parse(line));
  const log = createLogger({ level: "info", clock: systemClock, write });
  const server = await startTestServer({ store: "memory:", parts: { log } });
  try {
    const names = ["a.example", "a.example", "b.example"];
    for (const name of names) await send(server, { line: live, headers: [`host: ${name}`] });
    for (let n = 0; n < 3; n++) {
      await send(server, { line: live, headers: [own, "origin: http://c.example"] });
    }
    const named = () => lines.filter(({ message }) => message.includes("refused; see"));
    expect(named().map(({ name }) => name)).toEqual(["a.example", "b.example", "http://c.example"]);
    for (let n = 0; n < limits.refusedNamesLoggedMax; n++) {
      await send(server, { line: live, headers: [`host: n${n}.example`] });
    }
    expect(named()).toHaveLength(limits.refusedNamesLoggedMax);
  } finally {
    await server.remove();
  }
});

describe("the path", () => {
  const told = "sent as the route has it";
  const rpcs = workerServices.flatMap((service) =>
    service.methods.map((method) => `/${service.typeName}/${method.name}`),
  );

  test.each([
    "/health/../v1/keys",
    "/health/%2e%2e/v1/keys",
    "/health/%2E./v1/keys",
    "/health\\..\\v1\\keys",
    "/./v1/keys",
    "/v1/executions/../keys",
    "/v1/executions/%2e%2e/keys",
    "/v1/%2e/keys",
    "/nothing/../health/live",
    "/v1/workflows/",
    "http://localhost/health/../v1/keys",
  ])("%p is refused: nobody else may have taken it for another one", async (path) => {
    const { status, answer } = await send(open, { line: `GET ${path} HTTP/1.1`, headers: [own] });
    expect([status, answer.includes(told)]).toEqual([400, true]);
  });

  test("of a method, and over HTTP/2, is held to the same", async () => {
    const line = "POST /health/../TaskService/GetServers HTTP/1.1";
    const sent = { line, headers: [own, json], body: "{}" };
    expect((await send(open, sent)).status).toBe(400);
    expect(await over2(open.httpPort, { ":path": "/health/../v1/keys" })).toBe(400);
    expect(await over2(open.httpPort, { ":path": "/v1/keys" })).toBe(200);
  });

  test("of every route and method is known as it is sent", async () => {
    const routes = allRoutes().map(({ method, path }) => `${method} ${path}`);
    for (const one of [...routes, ...rpcs.map((path) => `POST ${path}`)]) {
      const line = `${one.replaceAll(/\{\w+\}/g, "a%20%C3%BC..")}?x=/../y HTTP/1.1`;
      const { status, answer } = await send(open, { line, headers: [own] });
      expect(status, answer).toBeGreaterThanOrEqual(200);
      expect(answer).not.toContain(told);
    }
  });
});

describe("gRPC", () => {
  const poll = { ":method": "POST", ":path": "/orchy.v1.WorkerService/Poll", te: "trailers" };
  const grpc = { ...poll, "content-type": "application/grpc" };

  test("without an origin is served under any name", async () => {
    expect(await over2(open.grpcPort, { ...grpc, ":authority": "evil.example" })).toBe(200);
    const line = "POST /TaskService/GetServers HTTP/1.1";
    const headers = ["host: evil.example", web];
    expect((await send(open, { line, headers, body: "\0\0\0\0\0" })).status).toBe(200);
  });

  test("with one, and what is not gRPC, is held to the same rules at its port", async () => {
    const port = open.grpcPort;
    const ownPage = { ":authority": `127.0.0.1:${port}`, origin: `http://127.0.0.1:${port}` };
    expect(await over2(port, { ...grpc, ...ownPage })).toBe(200);
    expect(await over2(port, { ...grpc, ...ownPage, origin: "null" })).toBe(403);
    expect(await over2(port, { ...grpc, origin: "https://evil.example" })).toBe(403);
    const evil = { ":authority": "evil.example", origin: "http://evil.example" };
    expect(await over2(port, { ...grpc, ...evil })).toBe(421);
    const connectJson = { ...poll, "content-type": "application/json" };
    expect(await over2(port, { ...connectJson, ":authority": "evil.example" })).toBe(421);
    expect(await over2(port, { ...connectJson, ":authority": "localhost" })).toBe(415);
    expect(await over2(port, { ":authority": "evil.example" })).toBe(421);
  });
});
