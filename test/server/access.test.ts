/** Who may do what: keys at the real ports, over REST, Connect and gRPC. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { systemClock } from "../../src/base/clock.ts";
import { limits } from "../../src/base/limits.ts";
import { Health } from "../../src/gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../src/gen/grpc/reflection/v1/reflection_pb.ts";
import { ActionService } from "../../src/gen/legacy/action_service_pb.ts";
import { TaskService } from "../../src/gen/legacy/task_service_pb.ts";
import { ReleaseStatus, ResultStatus, WorkerService } from "../../src/gen/orchy/v1/worker_pb.ts";
import { Keys, unknownKeysReadMax } from "../../src/runtime/services/keys.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { StoreFault } from "../../src/store/store.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { untilParked } from "../support/metrics.ts";
import { type Answer, call, startTestServer, type TestServer } from "../support/orchy.ts";

interface AuditLine {
  readonly message: string;
  readonly key: string;
  readonly address: string;
  readonly what?: string;
  readonly target?: string;
  readonly reason?: string;
  readonly call?: string;
  readonly code?: string;
}

interface Guarded {
  readonly server: TestServer;
  /** Everything that was logged, as one text. */
  readonly log: () => string;
  readonly audit: () => AuditLine[];
  readonly warnings: () => string[];
  /** What was read of keys grows so much older. */
  readonly age: (ms: number) => void;
}

const stops: (() => Promise<void>)[] = [];
let store: MemoryStore;
let admin: string;
let guarded: Guarded;

async function start(flags: readonly string[] = []): Promise<Guarded> {
  let agedMs = 0;
  const lines: string[] = [];
  // Looks at keys again come a hundred times as soon; everything else is as it is.
  const clock = {
    ...systemClock,
    now: () => systemClock.now() + agedMs,
    after: (ms: number, callback: () => void) =>
      systemClock.after(ms === limits.keyFreshMs ? ms / 100 : ms, callback),
  };
  const log = createLogger({ level: "debug", clock, write: (line) => lines.push(line) });
  const server = await startTestServer({ store: "memory:", flags, parts: { store, clock, log } });
  stops.push(() => server.remove());
  return {
    server,
    log: () => lines.join("\n"),
    audit: () => lines.map((line) => JSON.parse(line)).filter((line) => line.audit === true),
    warnings: () =>
      lines
        .map((line) => JSON.parse(line))
        .filter(({ level, message }) => level === "warn" && /legacy wire/.test(message))
        .map(({ message, address }) => `${message} ${address}`),
    age: (ms) => {
      agedMs += ms;
    },
  };
}

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
const as = (key: string, method: string, path: string, body?: unknown): Promise<Answer> =>
  call(guarded.server, method, path, body, key === "" ? {} : bearer(key));

async function makeKey(body: object, by = admin): Promise<{ id: string; key: string }> {
  const made = await as(by, "POST", "/v1/keys", { name: "test", ...body });
  if (made.status !== 201) throw new Error(JSON.stringify(made.body));
  return made.body;
}

async function codeOf(sent: Promise<unknown>): Promise<Code | undefined> {
  return sent.then(
    () => undefined,
    (error) => ConnectError.from(error).code,
  );
}

const definition = {
  name: "pair",
  rootAction: ["one", "two"],
  actions: [
    { id: "one", type: "user", name: "a" },
    { id: "two", type: "user", name: "b" },
  ],
};

beforeEach(async () => {
  store = new MemoryStore({ partitions: 1 });
  guarded = await start();
  admin = (await makeKey({ scopes: ["admin"] }, guarded.server.firstKeySecret!)).key;
});
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

test("without any key all is open; the first closes it, must be for an admin, and takes the secret", async () => {
  store = new MemoryStore({ partitions: 1 });
  guarded = await start();
  const other = await start();
  expect((await as("", "GET", "/v1/workflows")).status).toBe(200);
  const secret = guarded.server.firstKeySecret!;
  const otherSecret = other.server.firstKeySecret!;
  for (const wrong of ["", admin, `${secret.slice(0, -1)}z`, otherSecret]) {
    const refused = await as(wrong, "POST", "/v1/keys", { name: "x", scopes: ["admin"] });
    expect([refused.status, refused.body.error.code]).toEqual([401, "UNAUTHENTICATED"]);
    expect(refused.body.error.message).toContain("printed when it started");
  }
  const first = await as(secret, "POST", "/v1/keys", { name: "x", scopes: ["run"] });
  expect([first.status, first.body.error.code]).toEqual([409, "INVALID_STATE"]);
  expect((await as("", "GET", "/v1/workflows")).status).toBe(200);

  const { id, key } = await makeKey({ scopes: ["admin"] }, secret);
  expect((await as("", "GET", "/v1/workflows")).status).toBe(401);
  // The secrets are worth nothing any more, at another server of the store as well.
  for (const [{ server }, text] of [
    [guarded, secret],
    [other, otherSecret],
  ] as const) {
    const wanted = { name: "x", scopes: ["admin"] };
    expect((await call(server, "POST", "/v1/keys", wanted, bearer(text))).status).toBe(401);
  }
  expect((await as(key, "GET", "/v1/workflows")).status).toBe(200);
  // What was closed is not opened by taking the last key away.
  expect((await as(key, "DELETE", `/v1/keys/${id}`)).status).toBe(204);
  expect((await as("", "GET", "/v1/workflows")).status).toBe(401);
  expect((await as(key, "GET", "/v1/workflows")).status).toBe(401);
});

test("a missing, malformed, unknown or wrong key is answered 401, with what is needed", async () => {
  const missing = await fetch(`${guarded.server.url}/v1/executions`);
  expect(missing.status).toBe(401);
  expect(missing.headers.get("www-authenticate")).toBe('Bearer realm="orchy"');
  const { error } = (await missing.json()) as Answer["body"];
  expect(error.code).toBe("UNAUTHENTICATED");
  expect(error.message).toContain("scope read");

  const wrongSecret = admin.slice(0, -1) + (admin.endsWith("0") ? "1" : "0");
  const unknown = `orchy_${"0".repeat(16)}_${"0".repeat(64)}`;
  for (const authorization of [
    `Bearer ${wrongSecret}`,
    `Bearer ${unknown}`,
    `Bearer ${admin} ${admin}`,
    `Basic ${btoa(`user:${admin}`)}`,
    admin,
    "Bearer",
  ]) {
    const answer = await call(guarded.server, "GET", "/v1/workflows", undefined, { authorization });
    expect([answer.status, answer.body.error.code]).toEqual([401, "UNAUTHENTICATED"]);
  }
  const lowerCase = { authorization: `bearer ${admin}` };
  expect((await call(guarded.server, "GET", "/v1/workflows", undefined, lowerCase)).status).toBe(
    200,
  );
});

test("a body that was refused unread does not spoil the connection", async () => {
  const body = JSON.stringify({ workflow: "x", input: "x".repeat(500_000) });
  for (let i = 0; i < 3; i++)
    expect((await as("", "POST", "/v1/executions", body)).status).toBe(401);
  expect((await as(admin, "POST", "/v1/executions", body)).status).toBe(404);
});

const id = "00000000-0000-7000-8000-000000000000";
const routes: readonly [string, string, string, unknown?][] = [
  ["read", "GET", "/v1/executions"],
  ["read", "GET", `/v1/executions/${id}/events`],
  ["read", "GET", "/v1/workers"],
  ["read", "GET", "/metrics"],
  ["read", "POST", "/v1/workflows/validate", definition],
  ["read", "GET", "/workflow/pair"],
  ["run", "POST", "/v1/executions", { workflow: "pair" }],
  ["run", "POST", `/v1/executions/${id}/signal`, { event: "e" }],
  ["run", "POST", `/v1/executions/${id}/cancel`],
  ["run", "POST", "/flow/execute", { name: "pair" }],
  ["run", "POST", "/event", { name: "pair", flowId: id, event: "e" }],
  ["run", "GET", `/execution/pair/${id}/pause`],
  ["admin", "POST", "/v1/workflows", definition],
  ["admin", "DELETE", "/v1/workflows/pair"],
  ["admin", "PUT", "/v1/actions/a", {}],
  ["admin", "DELETE", `/v1/executions/${id}`],
  ["admin", "GET", "/v1/keys"],
  ["admin", "POST", "/workflow", definition],
  ["worker", "POST", "/orchy.v1.WorkerService/Poll", { actions: ["a"] }],
  ["worker", "POST", "/orchy.v1.WorkerService/RegisterActions", { actions: [{ name: "a" }] }],
];

test("each scope does its own, and no other's; admin does all", async () => {
  const keys: Record<string, string> = { admin };
  for (const scope of ["read", "run", "worker"]) {
    keys[scope] = (await makeKey({ scopes: [scope] })).key;
  }
  const status = async (key: string, [, method, path, body]: (typeof routes)[number]) => {
    const response = await fetch(guarded.server.url + path, {
      method,
      headers: { "content-type": "application/json", ...bearer(key) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: response.status, text: await response.text() };
  };
  for (const route of routes) {
    const [needed, method, path] = route;
    for (const [scope, key] of Object.entries(keys)) {
      const answer = await status(key, route);
      const allowed = scope === needed || scope === "admin";
      const told = `${scope}: ${method} ${path} ${answer.text.slice(0, 200)}`;
      expect([401, 403].includes(answer.status), told).toBe(!allowed);
      if (!allowed) expect(answer.text, told).toContain(`with the scope ${needed}`);
    }
  }
  const both = (await makeKey({ scopes: ["run", "read"] })).key;
  expect((await status(both, routes[0]!)).status).toBe(200);
});

test("health needs no key; all that describes the server does, of whatever scope", async () => {
  const worker = (await makeKey({ scopes: ["worker"] })).key;
  for (const path of ["/health/live", "/health/ready"]) {
    expect((await fetch(guarded.server.url + path)).status).toBe(200);
  }
  for (const path of ["/", "/openapi.json", "/schemas/workflow.json", "/schemas/action.json"]) {
    expect((await fetch(guarded.server.url + path)).status).toBe(401);
    expect((await fetch(guarded.server.url + path, { headers: bearer(worker) })).status).toBe(200);
  }
});

test("Connect, gRPC-Web and gRPC refuse with their codes, and name the scope", async () => {
  const read = (await makeKey({ scopes: ["read"] })).key;
  const worker = (await makeKey({ scopes: ["worker"] })).key;
  const poll = "/orchy.v1.WorkerService/Poll";
  const json = { actions: ["a"] };
  const missing = await as("", "POST", poll, json);
  expect([missing.status, missing.body.code]).toEqual([401, "unauthenticated"]);
  expect(missing.body.message).toContain("scope worker");
  const wrong = await as(read, "POST", poll, json);
  expect([wrong.status, wrong.body.code]).toEqual([403, "permission_denied"]);
  expect((await as(worker, "POST", poll, json)).status).toBe(200);

  const grpcUrl = `http://127.0.0.1:${guarded.server.grpcPort}`;
  for (const transport of [
    createGrpcTransport({ baseUrl: grpcUrl }),
    createGrpcWebTransport({ baseUrl: guarded.server.url, httpVersion: "1.1" }),
  ]) {
    const client = createClient(WorkerService, transport);
    const request = { actions: ["a"] };
    expect(await codeOf(client.poll(request))).toBe(Code.Unauthenticated);
    expect(await codeOf(client.poll(request, { headers: bearer(read) }))).toBe(
      Code.PermissionDenied,
    );
    expect(await codeOf(client.poll(request, { headers: bearer(worker) }))).toBeUndefined();
  }
});

test("on the gRPC port health is open, and reflection needs a key", async () => {
  const baseUrl = `http://127.0.0.1:${guarded.server.grpcPort}`;
  const transport = createGrpcTransport({ baseUrl });
  expect(await codeOf(createClient(Health, transport).check({}))).toBeUndefined();
  const reflection = createClient(ServerReflection, transport);
  async function list(headers: Record<string, string>): Promise<void> {
    async function* one() {
      yield { messageRequest: { case: "listServices" as const, value: "" } };
    }
    for await (const _ of reflection.serverReflectionInfo(one(), { headers })) return;
  }
  expect(await codeOf(list({}))).toBe(Code.Unauthenticated);
  expect(await codeOf(list(bearer(admin)))).toBeUndefined();
});

/** Polls over the legacy wire: both services, at both ports. No task is an answer. */
async function pollLegacy({ server }: Guarded, key?: string): Promise<(Code | undefined)[]> {
  const options = { headers: key === undefined ? {} : bearer(key) };
  const transports = [
    createGrpcTransport({ baseUrl: `http://127.0.0.1:${server.grpcPort}` }),
    createGrpcWebTransport({ baseUrl: server.url, httpVersion: "1.1" }),
    createConnectTransport({ baseUrl: server.url, httpVersion: "1.1", useBinaryFormat: false }),
  ];
  const polls = transports.flatMap((transport) => [
    createClient(TaskService, transport).poll({ taskType: "a", batchSize: 1 }, options),
    createClient(ActionService, transport).poll({ actionType: "a", batchSize: 1 }, options),
  ]);
  return Promise.all(polls.map(codeOf));
}

const allOf = (code: Code) => Array(6).fill(code);

test("workers of the legacy wire need a key once there is one, at both ports", async () => {
  store = new MemoryStore({ partitions: 1 });
  guarded = await start();
  expect(await pollLegacy(guarded)).toEqual(allOf(Code.NotFound));
  admin = (await makeKey({ scopes: ["admin"] }, guarded.server.firstKeySecret!)).key;
  const told = "workers of the legacy wire need a key";
  expect(guarded.log()).toContain(told);
  expect(await pollLegacy(guarded)).toEqual(allOf(Code.PermissionDenied));
  const { status, body } = await as("", "POST", "/TaskService/GetServers", {});
  expect([status, body.code]).toEqual([403, "permission_denied"]);
  expect(body.message).toContain("--legacy-workers");
  expect(body.message).toContain("scope worker");

  const worker = (await makeKey({ scopes: ["worker"] })).key;
  expect(await pollLegacy(guarded, worker)).toEqual(allOf(Code.NotFound));
  expect(await pollLegacy(guarded, admin)).toEqual(allOf(Code.NotFound));
  const read = (await makeKey({ scopes: ["read"] })).key;
  expect(await pollLegacy(guarded, read)).toEqual(allOf(Code.PermissionDenied));
  const wrong = `orchy_${"0".repeat(16)}_${"0".repeat(64)}`;
  expect(await pollLegacy(guarded, wrong)).toEqual(allOf(Code.PermissionDenied));

  // One warning for the address, and an audit line for each refusal until they are too many.
  const warning = "a worker of the legacy wire is not served; see --legacy-workers 127.0.0.1";
  expect(guarded.warnings()).toEqual([warning]);
  const refusals = guarded.audit().filter(({ message }) => message === "refused");
  expect(refusals).toHaveLength(limits.auditRefusalsMax);
  expect(new Set(refusals.map(({ address }) => address))).toEqual(new Set(["127.0.0.1"]));
  expect(refusals.map(({ call }) => call)).toContain("/ActionService/Poll");
  // At the next start it is said again.
  expect((await start()).log()).toContain(told);
});

test("an explicit --legacy-workers serves them without a key, and says so", async () => {
  for (const rule of ["loopback", "open"]) {
    const other = await start(["--legacy-workers", rule]);
    expect(await pollLegacy(other)).toEqual(allOf(Code.NotFound));
    expect(other.log()).toContain("are served without a key");
  }
  const insecure = await start(["--insecure"]);
  expect(await pollLegacy(insecure)).toEqual(allOf(Code.NotFound));
});

test("over the legacy wire a key for named actions touches those alone", async () => {
  await as(admin, "POST", "/v1/workflows", definition);
  await as(admin, "POST", "/v1/executions", { workflow: "pair" });
  const all = { headers: bearer((await makeKey({ scopes: ["worker"] })).key) };
  const onlyA = await makeKey({ scopes: ["worker"], actions: ["a"] });
  const mine = { headers: bearer(onlyA.key) };
  const baseUrl = `http://127.0.0.1:${guarded.server.grpcPort}`;
  const tasks = createClient(TaskService, createGrpcTransport({ baseUrl }));
  const denied = Code.PermissionDenied;
  const before = guarded.audit().length;
  expect(await codeOf(tasks.poll({ taskType: "b", batchSize: 1 }, mine))).toBe(denied);
  expect(await codeOf(tasks.saveTaskDef({ name: "b" }, mine))).toBe(denied);
  expect(await codeOf(tasks.saveTaskDef({ name: "a", retryCount: 9 }, mine))).toBeUndefined();
  // The same again changes nothing.
  expect(await codeOf(tasks.saveTaskDef({ name: "a", retryCount: 9 }, mine))).toBeUndefined();
  const changes = guarded
    .audit()
    .slice(before)
    .filter(({ what }) => what !== undefined);
  expect(changes).toMatchObject([
    { key: onlyA.id, address: "127.0.0.1", what: "action saved", target: "a" },
  ]);

  const taken = async (taskType: string, options: typeof mine) =>
    (await tasks.poll({ taskType, batchSize: 1 }, options)).tasks[0]!;
  const [a, b] = [await taken("a", mine), await taken("b", all)];
  const resultOf = ({ workflowName, flowId, retryCount }: typeof a) =>
    ({ workflowName, flowId, retryCount }) as const;
  expect(await codeOf(tasks.push(resultOf(b), mine))).toBe(denied);
  expect((await tasks.push(resultOf(a), mine)).status).toBe(true);
  expect((await tasks.push(resultOf(b), all)).status).toBe(true);
  // Nor is it told whether a result was there before.
  expect(await codeOf(tasks.push(resultOf(b), mine))).toBe(denied);
  const refused = guarded
    .audit()
    .filter(({ message, key }) => message === "refused" && key === onlyA.id);
  const calls = ["Poll", "SaveTaskDef", "Push", "Push"].map((name) => `/TaskService/${name}`);
  expect(refused.map(({ call }) => call)).toEqual(calls);
});

test("wrong keys and scopes leave audit lines with an address and what was called", async () => {
  const { id, key } = await makeKey({ scopes: ["read"] });
  const wrong = `orchy_${id}_${"f".repeat(64)}`;
  const before = guarded.audit().length;
  await as(wrong, "GET", "/v1/workflows");
  await as(key, "POST", "/v1/executions", { workflow: "pair" });
  await as("no-key-at-all", "GET", "/metrics");
  await as(key, "POST", "/orchy.v1.WorkerService/Poll", { actions: ["a"] });
  // A request without a key is no attempt at one.
  await as("", "GET", "/v1/workflows");
  const from = { message: "refused", address: "127.0.0.1" };
  expect(guarded.audit().slice(before)).toMatchObject([
    { ...from, key: id, call: "GET /v1/workflows", code: "UNAUTHENTICATED" },
    { ...from, key: id, call: "POST /v1/executions", code: "PERMISSION_DENIED" },
    { ...from, key: "none", call: "GET /metrics", code: "UNAUTHENTICATED" },
    { ...from, key: id, call: "/orchy.v1.WorkerService/Poll", code: "PERMISSION_DENIED" },
  ]);
});

test("a registration leaves a line for each action that it changes", async () => {
  const worker = await makeKey({ scopes: ["worker"] });
  const register = (retryCount: number) =>
    as(worker.key, "POST", "/orchy.v1.WorkerService/RegisterActions", {
      actions: [{ name: "a" }, { name: "b", retryCount }],
    });
  const before = guarded.audit().length;
  for (const retryCount of [1, 1, 2]) expect((await register(retryCount)).status).toBe(200);
  const saved = { key: worker.id, address: "127.0.0.1", what: "action saved" };
  expect(guarded.audit().slice(before)).toMatchObject([
    { ...saved, target: "a" },
    { ...saved, target: "b" },
    { ...saved, target: "b" },
  ]);
});

test("a key for named actions touches the tasks of those alone", async () => {
  await as(admin, "POST", "/v1/workflows", definition);
  const all = (await makeKey({ scopes: ["worker"] })).key;
  const onlyA = (await makeKey({ scopes: ["worker", "read"], actions: ["a"] })).key;
  const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${guarded.server.grpcPort}` });
  const client = createClient(WorkerService, transport);
  const mine = { headers: bearer(onlyA) };
  expect(await codeOf(client.poll({ actions: ["a", "b"] }, mine))).toBe(Code.PermissionDenied);
  const registering = (name: string) => client.registerActions({ actions: [{ name }] }, mine);
  expect(await codeOf(registering("b"))).toBe(Code.PermissionDenied);
  expect(await codeOf(registering("a"))).toBeUndefined();

  await as(admin, "POST", "/v1/executions", { workflow: "pair" });
  const polled = async (action: string, options: typeof mine) =>
    (await client.poll({ actions: [action], waitSeconds: 5 }, options)).tasks[0]!.token;
  const tokenA = await polled("a", mine);
  const tokenB = await polled("b", { headers: bearer(all) });
  const outputJson = new TextEncoder().encode("1");
  const results = [
    { token: tokenB, outputJson },
    { token: tokenA, outputJson },
  ];
  const beats = await client.heartbeat({ tasks: [{ token: tokenB }, { token: tokenA }] }, mine);
  expect(beats.statuses).toEqual([2, 1]);
  expect((await client.release({ tokens: [tokenB] }, mine)).statuses).toEqual([
    ReleaseStatus.STALE,
  ]);
  const { results: answers } = await client.complete({ results }, mine);
  expect(answers.map(({ status }) => status)).toEqual([
    ResultStatus.INVALID,
    ResultStatus.ACCEPTED,
  ]);
  expect(answers[0]!.message).toContain("not for b");
  // With a poll it is the same, and the attempt was not hurt.
  const riding = await client.poll({ actions: ["a"], results: results.slice(0, 1) }, mine);
  expect(riding.results[0]!.status).toBe(ResultStatus.INVALID);
  const theirs = await client.complete({ results: results.slice(0, 1) }, { headers: bearer(all) });
  expect(theirs.results[0]!.status).toBe(ResultStatus.ACCEPTED);
});

test("a revoked key is refused here at once, and on other servers after seconds", async () => {
  const other = await start();
  const { id, key } = await makeKey({ scopes: ["read"] });
  const asThere = () => call(other.server, "GET", "/v1/workflows", undefined, bearer(key));
  expect((await asThere()).status).toBe(200);
  expect((await as(admin, "DELETE", `/v1/keys/${id}`)).status).toBe(204);
  expect((await as(admin, "DELETE", `/v1/keys/${id}`)).status).toBe(204);
  expect((await as(key, "GET", "/v1/workflows")).status).toBe(401);
  expect((await asThere()).status).toBe(200);
  other.age(limits.keyFreshMs);
  expect((await asThere()).status).toBe(401);

  const { body } = await as(admin, "GET", "/v1/keys");
  const found = body.items.find((item: { id: string }) => item.id === id);
  expect(Date.parse(found.revokedAt)).toBeGreaterThanOrEqual(Date.parse(found.createdAt));
  expect((await as(admin, "DELETE", `/v1/keys/${"0".repeat(16)}`)).status).toBe(404);
});

test("a poll that waits while its key is revoked gets nothing; its task goes to the next one", async () => {
  await as(admin, "POST", "/v1/workflows", definition);
  const { id, key } = await makeKey({ scopes: ["worker"] });
  const request = { actions: ["a"], waitSeconds: 60 };
  const waiting = as(key, "POST", "/orchy.v1.WorkerService/Poll", request);
  await untilParked(guarded.server, 1, bearer(admin));
  await as(admin, "DELETE", `/v1/keys/${id}`);
  guarded.age(limits.keyFreshMs);
  await as(admin, "POST", "/v1/executions", { workflow: "pair" });
  expect((await waiting).status).toBe(401);
  const next = await as(admin, "POST", "/orchy.v1.WorkerService/Poll", request);
  expect(next.body.tasks).toMatchObject([{ action: "a", attempt: 1 }]);
});

test("an event stream ends when its key is revoked", async () => {
  await as(admin, "POST", "/v1/workflows", definition);
  const started = await as(admin, "POST", "/v1/executions", { workflow: "pair" });
  const { id, key } = await makeKey({ scopes: ["read"] });
  const url = `${guarded.server.url}/v1/executions/${started.body.id}/events`;
  const response = await fetch(url, { headers: bearer(key) });
  expect(response.status).toBe(200);
  await as(admin, "DELETE", `/v1/keys/${id}`);
  guarded.age(limits.keyFreshMs);
  expect(await response.text()).not.toContain("event: end");
});

test("the store keeps digests; neither it nor the log knows a secret", async () => {
  const made = await makeKey({ scopes: ["worker"], actions: ["a"], name: "mine" });
  const wrong = `orchy_${made.id}_${"f".repeat(64)}`;
  await as(wrong, "GET", "/v1/workflows");
  await as(made.key, "GET", "/v1/workflows");
  const secret = made.key.split("_")[2]!;
  const documents = await store.listDocuments({ kind: "key", limit: 10 });
  const kept = documents.map(({ body }) => body).join();
  expect(kept).toContain('"mine"');
  const listed = JSON.stringify((await as(admin, "GET", "/v1/keys")).body);
  expect(listed).toContain(made.id);
  expect(listed).not.toContain("digest");
  expect(guarded.log()).toContain("request");
  for (const place of [kept, guarded.log(), listed]) {
    expect(place).not.toContain(secret);
    expect(place).not.toContain("f".repeat(64));
  }
});

test("each change by hand leaves a line that names the key, and no payload", async () => {
  await as(admin, "POST", "/v1/workflows", definition);
  await as(admin, "POST", "/v1/workflows", definition);
  await as(admin, "PUT", "/v1/actions/a", { retryCount: 1 });
  const input = { text: "payload-of-mine" };
  const run = await makeKey({ name: "on call", scopes: ["run", "read"] });
  const started = await as(run.key, "POST", "/v1/executions", { workflow: "pair", input });
  const path = `/v1/executions/${started.body.id}`;
  const reason = "as asked by phone";
  for (const name of ["pause", "resume", "cancel"]) {
    await as(run.key, "POST", `${path}/${name}`, { reason });
  }
  const { items } = (await as(run.key, "GET", `${path}/history`)).body;
  const changes = items.slice(-3) as Readonly<Record<string, unknown>>[];
  expect(changes.map(({ kind, details, who }) => [kind, details, who])).toEqual(
    ["paused", "resumed", "cancelled"].map((done) => [`execution.${done}`, { reason }, "on call"]),
  );
  await as(admin, "DELETE", path);
  await as(admin, "DELETE", "/v1/workflows/pair");
  await as(admin, "DELETE", `/v1/keys/${run.id}`);
  const adminId = admin.split("_")[1]!;
  expect(new Set(guarded.audit().map(({ address }) => address))).toEqual(new Set(["127.0.0.1"]));
  expect(guarded.audit().map(({ key, what, target }) => [key, what, target])).toEqual([
    ["none", "key made", adminId],
    [adminId, "workflow saved", "pair version 1"],
    [adminId, "action saved", "a"],
    [adminId, "key made", run.id],
    [run.id, "execution paused", started.body.id],
    [run.id, "execution resumed", started.body.id],
    [run.id, "execution cancelled", started.body.id],
    [adminId, "execution deleted", started.body.id],
    [adminId, "workflow deleted", "pair"],
    [adminId, "key revoked", run.id],
  ]);
  expect(guarded.audit().flatMap(({ reason: why }) => why ?? [])).toEqual([reason, reason, reason]);
  expect(guarded.log()).not.toContain("payload-of-mine");
});

test("wrong keys are refused with every problem and its place", async () => {
  const refused = async (body: unknown) => {
    const answer = await as(admin, "POST", "/v1/keys", body);
    expect(answer.status).toBe(400);
    return answer.body.error.details.map((one: { pointer: string }) => one.pointer);
  };
  expect(await refused({})).toEqual(["/name", "/scopes"]);
  expect(await refused({ name: "", scopes: ["root"] })).toEqual(["/name", "/scopes/0"]);
  expect(await refused({ name: "x", scopes: [] })).toEqual(["/scopes"]);
  for (const scopes of [["run"], ["worker", "admin"]]) {
    expect(await refused({ name: "x", scopes, actions: ["a"] })).toEqual(["/actions"]);
  }
});

test("a busy worker's key is read from the store once in seconds", async () => {
  const worker = (await makeKey({ scopes: ["worker"] })).key;
  let reads = 0;
  const read = store.getDocument.bind(store);
  store.getDocument = (request) => {
    if (request.kind === "key") reads++;
    return read(request);
  };
  const poll = () => as(worker, "POST", "/orchy.v1.WorkerService/Poll", { actions: ["a"] });
  guarded.age(limits.keyFreshMs);
  await Promise.all(Array.from({ length: 20 }, poll));
  for (let i = 0; i < 20; i++) await poll();
  expect(reads).toBe(1);
  // While the store is away, what was known stands; what was not is no guess.
  guarded.age(limits.keyFreshMs);
  store.getDocument = async () => {
    throw new StoreFault("not_applied", "away");
  };
  expect((await fetch(`${guarded.server.url}/metrics`, { headers: bearer(admin) })).status).toBe(
    200,
  );
  const unknown = `orchy_${"1".repeat(16)}_${"1".repeat(64)}`;
  expect((await as(unknown, "GET", "/metrics")).status).toBe(503);
});

test("guesses cost few reads, and lock out nobody who holds a key", async () => {
  const worker = (await makeKey({ scopes: ["worker"] })).key;
  // A server that has met none of the keys.
  guarded = await start();
  let reads = 0;
  const [read, list] = [store.getDocument.bind(store), store.listDocuments.bind(store)];
  store.getDocument = (request) => {
    if (request.kind === "key") reads++;
    return read(request);
  };
  store.listDocuments = (request) => {
    if (request.kind === "key") reads++;
    return list(request);
  };
  let last = 0;
  const guess = () => {
    last += 1;
    const id = last.toString(16).padStart(16, "0");
    return as(`orchy_${id}_${"0".repeat(64)}`, "GET", "/v1/workflows");
  };
  for (let n = 0; n < 200; n++) expect((await guess()).status).toBe(401);
  // One more lists all keys.
  expect(reads).toBe(unknownKeysReadMax + 1);
  const poll = () => as(worker, "POST", "/orchy.v1.WorkerService/Poll", { actions: ["a"] });
  expect((await poll()).status).toBe(200);
  expect((await as(admin, "GET", "/v1/workflows")).status).toBe(200);
  expect(reads).toBe(unknownKeysReadMax + 3);

  // A key that another server makes meanwhile counts here within the same time as a revocation.
  const made = await new Keys({ store, clock: systemClock }).create({
    name: "x",
    scopes: ["read"],
  });
  guarded.age(limits.keyFreshMs);
  for (let n = 0; n < 50; n++) await guess();
  expect((await as(made.text, "GET", "/v1/workflows")).status).toBe(200);
});

test("beyond this machine a server needs keys, or --insecure, which asks for none", async () => {
  // Stands for any other address: this machine's own, written so that the server cannot recognize
  // it.
  const hosted = ["--host", "127.1"];
  store = new MemoryStore({ partitions: 1 });
  await expect(start(hosted)).rejects.toThrow("there is no key that callers would need");
  guarded = await start([...hosted, "--insecure"]);
  await expect(makeKey({ scopes: ["admin"] }, "")).rejects.toThrow("printed when it started");
  const { key } = await makeKey({ scopes: ["admin"] }, guarded.server.firstKeySecret!);
  expect((await as("", "GET", "/v1/workflows")).status).toBe(200);
  guarded = await start(hosted);
  expect((await as("", "GET", "/v1/workflows")).status).toBe(401);
  expect((await as(key, "GET", "/v1/workflows")).status).toBe(200);
});

test("pages of other origins get nothing, but those that are named", async () => {
  guarded = await start(["--cors-origin", "https://ui.example"]);
  const url = `${guarded.server.url}/v1/workflows`;
  const preflight = (origin: string) =>
    fetch(url, { method: "OPTIONS", headers: { origin, "access-control-request-method": "POST" } });
  const named = await preflight("https://ui.example");
  expect(named.status).toBe(204);
  expect(named.headers.get("access-control-allow-headers")).toContain("authorization");
  const stranger = await preflight("https://evil.example");
  expect(stranger.status).toBe(403);
  expect(stranger.headers.get("access-control-allow-origin")).toBeNull();

  const post = (origin: string) =>
    fetch(url, {
      method: "POST",
      headers: {
        origin,
        "sec-fetch-site": "cross-site",
        "content-type": "application/json",
        ...bearer(admin),
      },
      body: JSON.stringify(definition),
    });
  const refused = await post("https://evil.example");
  expect(refused.status).toBe(403);
  expect(refused.headers.get("access-control-allow-origin")).toBeNull();
  const saved = await post("https://ui.example");
  expect(saved.status).toBe(201);
  expect(saved.headers.get("access-control-allow-origin")).toBe("https://ui.example");
  expect(saved.headers.get("vary")).toBe("origin");
});

test("every answer tells browsers to keep, guess and frame nothing", async () => {
  const get = (path: string) => fetch(guarded.server.url + path);
  const post = (path: string, type: string, body: string) =>
    fetch(guarded.server.url + path, {
      method: "POST",
      headers: { "content-type": type, ...bearer(admin) },
      body,
    });
  const poll = "/orchy.v1.WorkerService/Poll";
  const frame = "\0\0\0\0\0";
  const answers = [
    ...["/health/live", "/v1/workflows", "/nothing", "/metrics", "/openapi.json"].map(get),
    ...[get(poll), get("/TaskService/Nothing")],
    post(poll, "application/json", '{"actions":["a"]}'),
    post(poll, "application/proto", ""),
    post(poll, "application/json", "nonsense"),
    post(poll, "text/plain", "{}"),
    post("/TaskService/GetServers", "application/grpc-web+proto", frame),
    post("/TaskService/Poll", "application/grpc-web+proto", frame),
  ];
  for (const { headers } of await Promise.all(answers)) {
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("cache-control")).toBe("no-store");
    expect(headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
    expect(headers.get("access-control-allow-origin")).toBeNull();
  }
});

test("by gRPC-Web, nothing of a body is decoded before the key is looked at", async () => {
  const { url } = guarded.server;
  const noMessage = new Uint8Array([0, 0, 0, 0, 1, 0xff]);
  const response = await fetch(`${url}/orchy.v1.WorkerService/Complete`, {
    method: "POST",
    headers: { "content-type": "application/grpc-web+proto" },
    body: noMessage,
  });
  expect(await response.text()).toContain(`grpc-status: ${Code.Unauthenticated}`);
});

test("of the legacy wire, nothing of a body is decoded before its rules are looked at", async () => {
  const { url } = guarded.server;
  for (const [type, body, told] of [
    ["application/json", "{", "permission_denied"],
    ["application/grpc-web+proto", "\0\0\0\0\u0001{", `grpc-status: ${Code.PermissionDenied}`],
  ] as const) {
    const response = await fetch(`${url}/TaskService/Poll`, {
      method: "POST",
      headers: { "content-type": type },
      body,
    });
    expect(await response.text()).toContain(told);
  }
});
