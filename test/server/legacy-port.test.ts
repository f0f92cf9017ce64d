/** The port of legacy workers, which speak no TLS: what it serves, to whom, and what is said of it. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { networkInterfaces } from "node:os";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { systemClock } from "../../src/base/clock.ts";
import { ActionService } from "../../src/gen/legacy/action_service_pb.ts";
import { TaskService } from "../../src/gen/legacy/task_service_pb.ts";
import { WorkerService } from "../../src/gen/orchy/v1/worker_pb.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { type Authority, createAuthority, type Issued } from "../support/certificates.ts";
import { call as httpCall, startTestServer, type TestServer } from "../support/orchy.ts";
import { type ServerProcess, startProcess } from "../support/process.ts";

let authority: Authority;
let own: Issued;
const stops: (() => Promise<unknown>)[] = [];

beforeAll(() => {
  authority = createAuthority();
  own = authority.issue("server");
});
afterAll(() => authority.remove());
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

const withTls = () => ["--tls-cert", own.certPath, "--tls-key", own.keyPath];

interface Started extends TestServer {
  /** What was logged at `warn`: the messages, and the address that they name. */
  readonly warnings: string[];
  readonly store: MemoryStore;
}

async function start(...flags: string[]): Promise<Started> {
  const store = new MemoryStore({ partitions: 1 });
  const warnings: string[] = [];
  const write = (line: string) => {
    const { message, address, audit } = JSON.parse(line);
    if (address !== undefined && !audit) warnings.push(`${message} ${address}`);
  };
  const log = createLogger({ level: "warn", clock: systemClock, write });
  const server = await startTestServer({ store: "memory:", flags, parts: { store, log } });
  stops.push(() => server.remove());
  return { ...server, warnings, store };
}

function legacyClients(port: number, host = "127.0.0.1") {
  const transport = createGrpcTransport({ baseUrl: `http://${host}:${port}` });
  return {
    tasks: createClient(TaskService, transport),
    actions: createClient(ActionService, transport),
    workers: createClient(WorkerService, transport),
  };
}

const codeOf = (sent: Promise<unknown>) =>
  sent.then(
    () => undefined,
    (error) => ConnectError.from(error).code,
  );

test("beside ports with TLS, it serves legacy workers without, and nobody else", async () => {
  const server = await start(...withTls(), "--legacy-port", "0");
  const { tasks, actions, workers } = legacyClients(server.legacyPort!);
  const tls = { ca: authority.cert };
  const post = async (path: string, body: object) => {
    const headers = { "content-type": "application/json" };
    const init = { method: "POST", headers, body: JSON.stringify(body), tls };
    return (await fetch(`https://127.0.0.1:${server.httpPort}${path}`, init)).json();
  };
  await tasks.saveTaskDef({ name: "old", retryCount: 1 });
  const definition = { name: "w", rootAction: 1, actions: [{ id: 1, type: "user", name: "old" }] };
  await post("/v1/workflows", definition);
  const ended = post("/v1/executions?wait=20", { workflow: "w", executionId: "e" });
  let polled: Awaited<ReturnType<typeof tasks.poll>> | undefined;
  while (polled === undefined) {
    polled = await tasks.poll({ taskType: "old", batchSize: 1 }).catch(() => undefined);
  }
  const { workflowName, flowId, actionId, retryCount } = polled.tasks[0]!;
  const result = { workflowName, flowId, actionId, retryCount };
  expect(await tasks.push(result)).toMatchObject({ status: true });
  expect(await ended).toMatchObject({ status: "COMPLETED" });
  expect(await codeOf(actions.poll({ actionType: "old", batchSize: 1 }))).toBe(Code.NotFound);
  expect(await codeOf(workers.poll({ actions: ["old"] }))).toBe(Code.Unimplemented);
});

test("asked there, servers name the ports of legacy workers, and only where there is one", async () => {
  const server = await start(...withTls(), "--legacy-port", "0");
  const row = (id: string, more: object) => ({
    id,
    body: JSON.stringify({ id, name: id, grpcAddress: `${id}:1`, httpAddress: `${id}:2`, ...more }),
    now: systemClock.now(),
    ttlMs: 60_000,
  });
  await server.store.beatServer(row("without", {}));
  await server.store.beatServer(row("with", { legacyAddress: "with:3" }));
  const { tasks, actions } = legacyClients(server.legacyPort!);
  for (const { servers } of [await tasks.getServers({}), await actions.getServers({})]) {
    const addresses = servers.map(({ rpcAddr }) => rpcAddr).sort();
    expect(addresses).toEqual([`127.0.0.1:${server.legacyPort}`, "with:3"]);
  }
});

test("--legacy-advertise is what they are told, and what /v1/servers shows", async () => {
  const server = await start("--legacy-port", "0", "--legacy-advertise", "old.example:7");
  const told = await legacyClients(server.legacyPort!).tasks.getServers({});
  expect(told.servers).toMatchObject([{ rpcAddr: "old.example:7" }]);
  const atGrpc = await legacyClients(server.grpcPort).tasks.getServers({});
  expect(atGrpc.servers).toMatchObject([{ rpcAddr: `127.0.0.1:${server.grpcPort}` }]);
  const { body } = await httpCall(server, "GET", "/v1/servers");
  expect(body.items).toMatchObject([{ legacyAddress: "old.example:7" }]);
});

test("a legacy worker at a port with TLS is named in the log once, with the flag", async () => {
  const server = await start(...withTls());
  const call = () => codeOf(legacyClients(server.grpcPort).tasks.getServers({}));
  while (server.warnings.length === 0) expect(await call()).toBeDefined();
  for (let tries = 0; tries < 2; tries++) expect(await call()).toBeDefined();
  const untrusting = createGrpcTransport({ baseUrl: `https://127.0.0.1:${server.grpcPort}` });
  expect(await codeOf(createClient(TaskService, untrusting).getServers({}))).toBeDefined();
  const [warning, ...others] = server.warnings;
  expect(warning).toMatch(/does not speak TLS at the gRPC port.*--legacy-port 127\.0\.0\.1$/);
  expect(others).toEqual([]);
});

const elsewhere = Object.values(networkInterfaces())
  .flat()
  .find((one) => one?.family === "IPv4" && !one.internal)?.address;
if (elsewhere === undefined) console.log("skipped: callers from elsewhere: no other interface");

test.skipIf(elsewhere === undefined)(
  "from elsewhere they are served with --insecure or by the rule, else warned of once",
  async () => {
    const everywhere = ["--legacy-port", "0", "--legacy-host", "0.0.0.0"];
    const polled = async (...flags: string[]) => {
      const { legacyPort, warnings } = await start(...everywhere, ...flags);
      const { tasks } = legacyClients(legacyPort!, elsewhere);
      const poll = () => codeOf(tasks.poll({ taskType: "a", batchSize: 1 }));
      return { codes: [await poll(), await poll()], warnings };
    };
    const served = { codes: [Code.NotFound, Code.NotFound], warnings: [] };
    expect(await polled("--insecure")).toEqual(served);
    expect(await polled("--legacy-workers", "open")).toEqual(served);
    const refused = {
      codes: [Code.PermissionDenied, Code.PermissionDenied],
      warnings: [`a worker of the legacy wire is not served; see --legacy-workers ${elsewhere}`],
    };
    expect(await polled()).toEqual(refused);
    expect(await polled("--insecure", "--legacy-workers", "loopback")).toEqual(refused);
  },
);

/** What a server says at its start, by the message. */
async function saidBy(...flags: string[]): Promise<Record<string, Record<string, unknown>>> {
  const server: ServerProcess = await startProcess("memory:", {}, flags);
  server.child.kill("SIGTERM");
  await server.child.exited;
  const lines = server.output.text.trim().split("\n");
  return Object.fromEntries(lines.map((line) => [JSON.parse(line).message, JSON.parse(line)]));
}

test("at the start a server says where legacy workers are served, or that they are not", async () => {
  const served = await saidBy(...withTls(), "--legacy-port", "0");
  const { legacy, advertised } = served["legacy workers are served without TLS"]!;
  expect([legacy, advertised]).toEqual([expect.stringMatching(/^127\.0\.0\.1:\d+$/), undefined]);
  const secured = await saidBy(...withTls());
  const not = secured["legacy workers speak no TLS, so they are not served"];
  expect(not).toMatchObject({ otherwise: "--legacy-port" });
  const everywhere = ["--legacy-port", "0", "--legacy-host", "0.0.0.0"];
  const open = await saidBy(...everywhere, "--advertise", "orchy.example:1");
  expect(open["Orchy is listening"]).toMatchObject({ advertised: "orchy.example:1" });
  expect(open["legacy workers are served without TLS"]).toMatchObject({
    legacy: expect.stringMatching(/^0\.0\.0\.0:\d+$/),
    advertised: expect.not.stringContaining("0.0.0.0"),
  });
});
