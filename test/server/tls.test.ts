/** TLS at both ports, with and without certificates of clients, as clients and operators meet it. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { once } from "node:events";
import { connect } from "node:net";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { TaskService } from "../../src/gen/legacy/task_service_pb.ts";
import { WorkerService } from "../../src/gen/orchy/v1/worker_pb.ts";
import { Worker } from "../../src/worker/index.ts";
import { type Authority, createAuthority, type Issued } from "../support/certificates.ts";
import { startTestServer, type TestServer } from "../support/orchy.ts";

let authority: Authority;
let strangers: Authority;
let own: Issued;
let client: Issued;
let stranger: Issued;
const stops: (() => Promise<void>)[] = [];

beforeAll(() => {
  authority = createAuthority();
  strangers = createAuthority();
  own = authority.issue("server");
  client = authority.issue("client");
  stranger = strangers.issue("stranger");
});
afterAll(() => {
  authority.remove();
  strangers.remove();
});
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

interface TlsServer extends TestServer {
  readonly grpcUrl: string;
}

async function start(...flags: string[]): Promise<TlsServer> {
  const tls = ["--tls-cert", own.certPath, "--tls-key", own.keyPath];
  const server = await startTestServer({ store: "memory:", flags: [...tls, ...flags] });
  stops.push(() => server.remove());
  const [url, grpcUrl] = [server.httpPort, server.grpcPort].map(
    (port) => `https://127.0.0.1:${port}`,
  );
  return { ...server, url: url!, grpcUrl: grpcUrl! };
}

const mutual = () => ["--tls-client-ca", authority.certPath];
const trusting = () => ({ ca: authority.cert });
const presenting = ({ cert, key }: Issued) => ({ ca: authority.cert, cert, key });

/** Why a poll over gRPC failed; empty when it did not. */
async function pollFault(server: TlsServer, nodeOptions: object): Promise<string> {
  const transport = createGrpcTransport({ baseUrl: server.grpcUrl, nodeOptions });
  const poll = createClient(WorkerService, transport).poll({ actions: ["a"] });
  return poll.then(
    () => "",
    (error: Error) => error.message,
  );
}

async function untilCompleted(server: TlsServer, workflow: string, tls: object): Promise<string> {
  const post = async (path: string, body: object) => {
    const headers = { "content-type": "application/json" };
    const init = { method: "POST", headers, body: JSON.stringify(body), tls };
    return (await fetch(server.url + path, init)).json() as Promise<Record<string, string>>;
  };
  const actions = [{ id: 1, type: "user", name: "greet", parameters: "$.input" }];
  await post("/v1/workflows", { name: workflow, rootAction: 1, actions });
  return (await post("/v1/executions?wait=20", { workflow, input: { name: "Ann" } })).result!;
}

test("both ports speak TLS over HTTP/1.1, HTTP/2 and gRPC, and nothing without it", async () => {
  const server = await start();
  const tls = trusting();
  expect((await fetch(`${server.url}/health/live`, { tls })).status).toBe(200);
  await expect(fetch(`${server.url}/health/live`)).rejects.toThrow();
  const plain = server.url.replace("https", "http");
  await expect(fetch(`${plain}/health/live`)).rejects.toThrow();

  const nodeOptions = tls;
  for (const transport of [
    createConnectTransport({ baseUrl: server.url, httpVersion: "2", nodeOptions }),
    createGrpcTransport({ baseUrl: server.grpcUrl, nodeOptions }),
  ]) {
    const poll = createClient(WorkerService, transport).poll({ actions: ["a"] });
    expect((await poll).tasks).toEqual([]);
  }
  expect(await pollFault(server, {})).toMatch(/certificate/i);
});

test.each(["http1", "http2"] as const)(
  "the worker library works over https, by %s",
  async (kind) => {
    const server = await start(...mutual());
    const tls = presenting(client);
    const logger = { info() {}, warn() {}, error() {} };
    const worker = new Worker({ server: server.url, transport: kind, tls, logger });
    worker.action("greet", ({ name }: { name: string }) => `Hello, ${name}!`);
    await worker.start();
    stops.unshift(() => worker.stop());
    expect(await untilCompleted(server, "hello", tls)).toBe("Hello, Ann!");
  },
);

test("with a client CA, only certificates that it signed are let in, at both ports", async () => {
  const server = await start(...mutual());
  for (const tls of [trusting(), presenting(stranger)]) {
    await expect(fetch(`${server.url}/health/live`, { tls })).rejects.toThrow();
    expect(await pollFault(server, tls)).not.toBe("");
  }
  const tls = presenting(client);
  expect((await fetch(`${server.url}/health/live`, { tls })).status).toBe(200);
  expect(await pollFault(server, tls)).toBe("");
});

test("--legacy-workers mtls serves who presents a certificate, at both ports", async () => {
  const server = await start(...mutual(), "--legacy-workers", "mtls");
  const tls = presenting(client);
  const transport = createGrpcTransport({ baseUrl: server.grpcUrl, nodeOptions: tls });
  const { servers } = await createClient(TaskService, transport).getServers({});
  expect(servers).toHaveLength(1);
  const url = `${server.url}/TaskService/GetServers`;
  const headers = { "content-type": "application/json" };
  const answer = await fetch(url, { method: "POST", headers, body: "{}", tls });
  expect(answer.status).toBe(200);
});

test("a client that connects and never says a word does not hold up the end", async () => {
  const server = await start();
  const silent = [server.httpPort, server.grpcPort].map((port) => connect(port, "127.0.0.1"));
  await Promise.all(silent.map((socket) => once(socket, "connect")));
  // As a later connection is served, the server knows the silent ones.
  expect(await pollFault(server, trusting())).toBe("");
  for (const socket of silent) socket.resume();
  await stops.pop()!();
  for (const socket of silent) socket.destroy();
});

test("wrong files are refused at the start, each in a sentence", async () => {
  const refusal = (...flags: string[]) =>
    startTestServer({ store: "memory:", flags }).then(
      () => "started",
      (error: Error) => error.message,
    );
  const { certPath, keyPath } = own;
  const missing = await refusal("--tls-cert", "/nowhere.pem", "--tls-key", keyPath);
  expect(missing).toBe("--tls-cert /nowhere.pem cannot be read: no such file.");
  const swapped = await refusal("--tls-cert", keyPath, "--tls-key", certPath);
  expect(swapped).toBe(`--tls-cert ${keyPath} holds no certificate in PEM form.`);
  const noKey = await refusal("--tls-cert", certPath, "--tls-key", certPath);
  expect(noKey).toBe(`--tls-key ${certPath} holds no private key without a password in PEM form.`);
  const foreign = await refusal("--tls-cert", certPath, "--tls-key", stranger.keyPath);
  expect(foreign).toContain("is not the key of the certificate");
  const both = ["--tls-cert", certPath, "--tls-key", keyPath];
  const noCa = await refusal(...both, "--tls-client-ca", keyPath);
  expect(noCa).toBe(`--tls-client-ca ${keyPath} holds no certificate in PEM form.`);
});
