/** TLS at ports without it, and none at ports with it: what the log and workers say of it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect } from "node:net";
import { systemClock } from "../../src/base/clock.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { Worker } from "../../src/worker/index.ts";
import { type Authority, createAuthority } from "../support/certificates.ts";
import { startTestServer, type TestServer } from "../support/orchy.ts";

let authority: Authority;
let plain: TestServer;
let secure: TestServer;
const lines: string[] = [];

beforeAll(async () => {
  const write = (line: string) => void lines.push(line);
  const log = createLogger({ level: "warn", clock: systemClock, write });
  const store = "memory:";
  plain = await startTestServer({ store, flags: ["--legacy-port", "0"], parts: { log } });
  authority = createAuthority();
  const { certPath, keyPath } = authority.issue("server");
  const flags = ["--tls-cert", certPath, "--tls-key", keyPath];
  secure = await startTestServer({ store, flags, parts: { log } });
});
afterAll(async () => {
  await plain.remove();
  await secure.remove();
  authority.remove();
});

/** Everything that the port sends until it ends the connection. */
function answerTo(port: number, first: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let answer = "";
    socket.setEncoding("latin1");
    socket.on("data", (text) => {
      answer += text;
    });
    socket.on("error", reject);
    socket.on("end", () => resolve(answer));
    socket.write(first, "latin1");
  });
}

const warnings = () => lines.map((line) => JSON.parse(line));

test("TLS at a gRPC port without it is answered in plain text, and warned of once", async () => {
  const hello = "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00";
  for (const port of [plain.grpcPort, plain.grpcPort, plain.legacyPort!]) {
    const answer = await answerTo(port, hello);
    expect(answer).toMatch(/^HTTP\/1\.1 400 .*"This port serves gRPC without TLS\."/s);
  }
  const about = warnings().filter(({ message }) => /speaks TLS/.test(message));
  // One for each port.
  expect(about).toMatchObject([{ address: "127.0.0.1" }, { address: "127.0.0.1" }]);
});

test.each([
  ["https", "HTTP", "without TLS the address begins with http://"],
  ["https", "gRPC", "without TLS the address begins with http://"],
  ["http", "HTTP", "with TLS the address begins with https://"],
  ["http", "gRPC", "with TLS the address begins with https://"],
])("a worker that calls %s at the other %s port warns of what may be meant", async (...row) => {
  const [scheme, kind, hint] = row;
  const server = scheme === "https" ? plain : secure;
  const port = kind === "HTTP" ? server.httpPort : server.grpcPort;
  for (const transport of ["http2", "http1"] as const) {
    const warned = Promise.withResolvers<string>();
    const logger = { debug() {}, info() {}, warn: warned.resolve, error() {} };
    const address = `${scheme}://127.0.0.1:${port}`;
    const worker = new Worker({ server: address, transport, logger }).action("a", () => null);
    const starting = worker.start().catch(() => {});
    expect(await warned.promise).toContain(`(${hint}); trying again`);
    await worker.stop();
    await starting;
  }
});

test("a client without TLS at a gRPC port with it is named in the log", async () => {
  const about = () => warnings().filter(({ message }) => /does not speak TLS/.test(message));
  await answerTo(secure.grpcPort, "GET / HTTP/1.1\r\n\r\n").catch(() => {});
  while (about().length === 0) await Bun.sleep(5);
  expect(about()).toMatchObject([{ address: "127.0.0.1" }]);
});
