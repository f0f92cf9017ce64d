/**
 * A server to talk to over its real port, and a client that holds every answer against the schema
 * that its route promises.
 */
import { expect } from "bun:test";
import type { ClientHttp2Session, OutgoingHttpHeaders } from "node:http2";
import * as v from "valibot";
import { createAccess } from "../../../src/api/access.ts";
import { createAudit } from "../../../src/api/audit.ts";
import { createBacklogs } from "../../../src/api/backlog.ts";
import { createDoor } from "../../../src/api/door.ts";
import { startHttpServer } from "../../../src/api/http-server.ts";
import { errorSchema, legacyErrorSchema } from "../../../src/api/rest/response-schemas.ts";
import type { Route } from "../../../src/api/rest/route.ts";
import { createRouter } from "../../../src/api/rest/router.ts";
import { allRoutes } from "../../../src/api/rest/routes.ts";
import { createConnectHandler } from "../../../src/api/rpc/connect-handler.ts";
import { LegacyAccess } from "../../../src/api/rpc/legacy-access.ts";
import { type Clock, systemClock, systemIds } from "../../../src/base/clock.ts";
import { createRuntime, type Runtime } from "../../../src/runtime/runtime.ts";
import { Keys } from "../../../src/runtime/services/keys.ts";
import { MemoryStore } from "../../../src/store/memory/memory-store.ts";
import type { Store } from "../../../src/store/store.ts";
import { createLogger } from "../../../src/telemetry/log.ts";
import { Metrics } from "../../../src/telemetry/metrics.ts";
import { noSandbox } from "../../support/no-sandbox.ts";

export interface TestServer {
  readonly port: number;
  readonly url: string;
  /** For what workers would do over their own wire. */
  readonly orchestrator: Runtime;
  /** Lines of the log, parsed. */
  readonly log: Record<string, unknown>[];
  drain(): Promise<void>;
  stop(): Promise<void>;
}

const startedMs = systemClock.now();

/** A thousand times as fast, for what the edge waits for. */
export const fastClock: Clock = {
  now: () => startedMs + (systemClock.now() - startedMs) * 1_000,
  after: (ms, callback) => systemClock.after(ms / 1000, callback),
  soon: systemClock.soon,
};

export async function startTestServer(
  options: { edgeClock?: Clock; store?: Store; corsOrigins?: string[] } = {},
): Promise<TestServer> {
  const lines: Record<string, unknown>[] = [];
  const clock = systemClock;
  const log = createLogger({ level: "info", clock, write: (line) => lines.push(JSON.parse(line)) });
  const store = options.store ?? new MemoryStore({ partitions: 4 });
  const metrics = new Metrics();
  const parts = { store, sandbox: noSandbox, clock, ids: systemIds, log, metrics };
  const runtime = createRuntime({ ...parts, namespace: "test" });
  const keys = new Keys({ store, clock });
  const audit = createAudit([log], clock);
  const access = createAccess({ keys, insecure: false, clock, log, audit });
  const backlogs = createBacklogs(options.edgeClock ?? clock);
  const corsOrigins = options.corsOrigins ?? [];
  const door = createDoor({
    given: [],
    others: [],
    corsOrigins,
    asksForKeys: access.asksForKeys,
    log,
  });
  const edge = { orchestrator: runtime, access, audit, door, backlogs, log } as const;
  const legacy = new LegacyAccess({ access, audit });
  const connect = createConnectHandler({
    ...edge,
    legacy,
    clientsVerified: false,
    grpcPort: () => 8099,
  });
  const http = startHttpServer({
    host: "127.0.0.1",
    port: 0,
    tls: undefined,
    corsOrigins,
    ...edge,
    keys,
    connect,
    metrics,
    clock: options.edgeClock ?? clock,
  });
  await runtime.open({
    id: systemIds.uuid(),
    name: "test",
    grpcAddress: "127.0.0.1:1",
    httpAddress: `127.0.0.1:${http.port}`,
    startedAt: clock.now(),
    version: "0",
  });
  return {
    port: http.port,
    url: `http://127.0.0.1:${http.port}`,
    orchestrator: runtime,
    log: lines,
    drain: () => http.drain(),
    async stop() {
      await http.drain();
      await http.stop();
      await runtime.close();
      await store.close();
    },
  };
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came.
  readonly json: any;
}

const router = createRouter(allRoutes());

/** A string body is sent as it is; anything else as JSON. */
export async function call(
  server: Pick<TestServer, "url">,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Reply> {
  const response = await fetch(server.url + path, {
    method,
    headers: { ...(body !== undefined && { "content-type": "application/json" }), ...headers },
    ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = response.headers.get("content-type") === "application/json";
  const json = isJson && text !== "" ? JSON.parse(text) : undefined;
  if (method !== "HEAD") holdAgainstSchema({ method, path, status: response.status, text, json });
  return { status: response.status, headers: response.headers, text, json };
}

interface Answered {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly text: string;
  readonly json: unknown;
}

function holdAgainstSchema({ method, path, status, text, json }: Answered): void {
  const pathOnly = path.split("?")[0]!;
  let route: Route | undefined;
  try {
    route = router.match(method, pathOnly).route;
  } catch {
    // Refusals are answers too.
  }
  const promised = route?.responses[status];
  if (promised === null) expect(text).toBe("");
  if (promised === null || typeof promised === "string") return;
  const style = route?.style ?? router.styleOf(pathOnly);
  const schema = promised ?? (style === "v1" ? errorSchema : legacyErrorSchema);
  if (!promised) expect(status).toBeGreaterThanOrEqual(400);
  const issues = v.safeParse(schema, json).issues ?? [];
  expect(issues.map((one) => `${v.getDotPath(one)}: ${one.message}`)).toEqual([]);
}

/** One request over HTTP/2. */
export async function send(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body?: unknown,
): Promise<{ status: number; text: string }> {
  const { promise, resolve } = Promise.withResolvers<{ status: number; text: string }>();
  const stream = session.request(headers);
  let status = 0;
  let text = "";
  stream.on("response", (got) => {
    status = Number(got[":status"]);
  });
  stream.on("data", (data) => {
    text += data;
  });
  stream.on("error", () => {});
  stream.on("close", () => resolve({ status, text }));
  stream.end(typeof body === "object" ? JSON.stringify(body) : body);
  return promise;
}

/** Takes the tasks of an action and completes each with the output. */
export async function work(server: TestServer, action: string, output: string): Promise<number> {
  const poll = { queues: ["default"], maxTasks: 10, waitMs: 5_000, heartbeats: false };
  const { tasks } = await server.orchestrator.poll({
    ...poll,
    actions: [action],
    workerId: "worker-1",
    results: [],
  });
  const results = tasks.map(({ token }) => ({ token, outcome: { ok: true, output } as const }));
  await server.orchestrator.complete(results, "worker-1");
  return tasks.length;
}
