/** Wires a whole server: store, sandbox, runtime and both ports. Tests start theirs with it too. */

import { hostname } from "node:os";
import { createBacklogs } from "../api/backlog.ts";
import { startHttpServer } from "../api/http-server.ts";
import { createConnectHandler } from "../api/rpc/connect-handler.ts";
import { type GrpcServerOptions, startGrpcServer } from "../api/rpc/grpc-server.ts";
import { LegacyAccess } from "../api/rpc/legacy-access.ts";
import {
  type Clock,
  type Ids,
  neverBack,
  pause,
  systemClock,
  systemIds,
  within,
} from "../base/clock.ts";
import { defined } from "../base/defined.ts";
import { limits } from "../base/limits.ts";
import { type BrokerPlaces, Brokers } from "../brokers/brokers.ts";
import { addressOf, type Config, type LegacyListener } from "../config/config.ts";
import { readClientTls, readTls } from "../config/tls.ts";
import { version } from "../config/version.ts";
import { AllowList } from "../http/allow-list.ts";
import { HttpClient } from "../http/client.ts";
import { openTicketQueue } from "../queue/open.ts";
import type { TicketQueue } from "../queue/queue.ts";
import { Tracing } from "../runtime/reporting/tracing.ts";
import { createRuntime } from "../runtime/runtime.ts";
import type { ServerView } from "../runtime/shared/orchestrator.ts";
import { meterSandbox } from "../sandbox/metered.ts";
import { createSandbox } from "../sandbox/pool.ts";
import { unfinishedCopy } from "../store/copy/progress.ts";
import { meterStore } from "../store/metered.ts";
import { openStore } from "../store/open.ts";
import type { Store } from "../store/store.ts";
import { createLogger, type Logger, writeLine } from "../telemetry/log.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { Outage } from "../telemetry/outage.ts";
import { Exporter } from "../telemetry/tracing/exporter.ts";
import { openGuard } from "./guard.ts";
import { peerSender } from "./peer-sender.ts";

/** Shared store: time in which callers are sent to another server. */
const drainTellMs = 500;

/** What a test may replace. */
export interface ServerOptions {
  readonly clock?: Clock;
  readonly ids?: Ids;
  readonly log?: Logger;
  readonly store?: Store;
  readonly brokers?: BrokerPlaces;
  readonly taskQueue?: TicketQueue;
}

export interface RunningServer {
  readonly httpPort: number;
  readonly grpcPort: number;
  /** Resolves with the reason when the server must not go on: the caller is to stop it. */
  readonly outdated: Promise<string>;
  /** Undefined: none is set. */
  readonly legacyPort: number | undefined;
  /** As other servers and workers see it. */
  readonly self: ServerView;
  /** What makes the first key over REST; undefined when there was one at the start. */
  readonly firstKeySecret: string | undefined;
  /** Ends polls, finishes what is under way, closes ports and store. */
  stop(): Promise<void>;
}

/** Lets go of everything it took when it cannot start; throws an Error of one sentence. */
export async function startServer(
  config: Config,
  options: ServerOptions = {},
): Promise<RunningServer> {
  const closing: (() => Promise<void>)[] = [];
  try {
    return await startAll(config, options, closing);
  } catch (error) {
    for (const close of closing.reverse()) await close();
    throw await explained(error, config);
  }
}

// biome-ignore lint/complexity/noExcessiveLinesPerFunction: it only wires, one statement for each part.
async function startAll(
  config: Config,
  options: ServerOptions,
  closing: (() => Promise<void>)[],
): Promise<RunningServer> {
  const ownClock = options.clock ?? systemClock;
  const ids = options.ids ?? systemIds;
  const log =
    options.log ?? createLogger({ level: config.logLevel, clock: ownClock, write: writeLine });
  const outdated = Promise.withResolvers<string>();
  const { namespace, partitions, host, legacyWorkers, corsOrigins } = config;
  const { dynamodbEndpoint, keepRetention, tombstoneSeconds } = config;
  const tls = config.tls && (await readTls(config.tls));
  const storeTls = await readClientTls(config.storeTls);
  const metrics = new Metrics();
  const storeOptions = {
    namespace,
    tls: storeTls,
    log,
    metrics,
    ...defined({ partitions, dynamodbEndpoint }),
  };
  const opened = options.store ?? (await openStore(storeUrl(config.store), storeOptions));
  const outage = new Outage("The store", { clock: ownClock, log });
  const store = meterStore(opened, metrics, outage);
  closing.push(() => store.close());
  const unfinished = await unfinishedCopy(store);
  if (unfinished !== undefined) throw new Error(unfinished);
  if (store.logBytes !== undefined) metrics.readStoreLog(() => store.logBytes!());
  const clock = storeClock(ownClock, opened, log);
  const sandbox = meterSandbox(
    createSandbox({ clock, log, processes: config.scriptProcesses }),
    metrics,
  );
  closing.push(() => sandbox.stop());
  const exporter = startExporter(config, { clock, log, metrics });
  closing.push(async () => exporter?.stop());
  const ratio = config.tracing?.ratio ?? 0;
  const tracing = exporter && new Tracing({ ratio, add: (span) => exporter.add(span) });
  const brokers = new Brokers({ clock, ...defined({ kafka: config.kafka }) });
  closing.push(() => brokers.close());
  const queueOptions = { namespace, partitions: store.partitions, clock, log };
  const taskQueue =
    options.taskQueue ?? (config.queue && (await openTicketQueue(config.queue, queueOptions)));
  closing.push(async () => taskQueue?.close());
  const runtime = createRuntime({
    taskQueue,
    formatDelayMs: config.formatDelaySeconds * 1000,
    onOutdated: outdated.resolve,
    store,
    sandbox,
    clock,
    ids,
    log,
    metrics,
    namespace,
    tracing,
    keepRetention,
    tombstoneSeconds,
    brokers: options.brokers ?? brokers,
    sendToPeer: peerSender(tls),
    http: new HttpClient({ allow: new AllowList(config.httpAllow) }),
  });
  const guard = await openGuard(config, { store, clock, log });
  closing.push(() => guard.close());
  const { keys, access, door, audit } = guard;
  const backlogs = createBacklogs(clock);
  const edge = {
    host,
    tls,
    orchestrator: runtime,
    backlogs,
    clock,
    log,
    metrics,
    access,
    door,
    audit,
    legacy: new LegacyAccess({ access, audit, log, legacyWorkers, insecure: config.insecure }),
  };
  const clientsVerified = tls?.ca !== undefined;
  let grpcPort = config.grpcPort;
  const connect = createConnectHandler({ ...edge, clientsVerified, grpcPort: () => grpcPort });
  const tellMs = store.traits.shared ? drainTellMs : 0;
  const { peers } = runtime;
  const rest = { ...edge, port: config.httpPort, connect, keys, corsOrigins, tellMs };
  const http = await startHttpServer({ ...rest, ...defined({ peers }) });
  closing.push(() => http.stop());
  const grpcEdge = { ...edge, httpPort: http.port };
  const grpc = await startGrpcServer({ ...grpcEdge, port: config.grpcPort });
  grpcPort = grpc.port;
  closing.push(() => grpc.stop());
  const legacy = config.legacy && (await startLegacyServer(grpcEdge, config.legacy));
  closing.push(async () => legacy?.stop());
  const unwatch = metrics.watchLoop(clock, log);
  closing.push(async () => unwatch());
  const self = {
    id: ids.uuid(),
    name: config.nodeName,
    grpcAddress: config.advertise ?? reachableAt(host, grpc.port),
    ...defined({ legacyAddress: legacy?.address }),
    httpAddress: config.advertiseHttp ?? reachableAt(host, http.port),
    startedAt: clock.now(),
    version,
  };
  await runtime.open(self);
  return {
    httpPort: http.port,
    grpcPort: grpc.port,
    legacyPort: legacy?.port,
    self,
    outdated: outdated.promise,
    firstKeySecret: guard.firstKeySecret,
    async stop() {
      runtime.drain();
      const drainGrpc = () => Promise.all([grpc.drain(), legacy?.drain()]);
      const grpcDrained = tellMs === 0 ? drainGrpc() : pause(tellMs, clock).then(drainGrpc);
      const drained = Promise.all([http.drain(), grpcDrained]);
      await within(limits.drainMs, drained, clock);
      await runtime.close();
      unwatch();
      await Promise.all([http.stop(), grpc.stop(), legacy?.stop()]);
      await Promise.all([sandbox.stop(), exporter?.stop()]);
      await Promise.all([taskQueue?.close(), brokers.close()]);
      await guard.close();
      await store.close();
    },
  };
}

/** The port of legacy workers, which speak no TLS. */
async function startLegacyServer(
  edge: Omit<GrpcServerOptions, "port">,
  { host, port, advertise }: LegacyListener,
) {
  const server = await startGrpcServer({ ...edge, host, port, tls: undefined, legacyOnly: true });
  return { ...server, address: advertise ?? reachableAt(host, server.port) };
}

function startExporter(
  { tracing, nodeName }: Config,
  options: { readonly clock: Clock; readonly log: Logger; readonly metrics: Metrics },
): Exporter | undefined {
  if (tracing === undefined) return undefined;
  const { url, headers, serviceName } = tracing;
  const resource = {
    "service.name": serviceName,
    "service.version": version,
    "service.instance.id": nodeName,
  };
  const exporter = new Exporter({ url, headers, resource, version, ...options });
  options.metrics.readTraces(exporter);
  return exporter;
}

/** All servers of a store have the same time: the store's, where it has one; it never goes back. */
function storeClock(own: Clock, store: Store, log: Logger): Clock {
  if (store.timeOffset === undefined) {
    const behindMs = (store.timeReached ?? 0) - own.now();
    if (behindMs > 0 && own.elapsed !== undefined) {
      const message =
        "the clock of this machine is behind the time of the store, which goes on from there";
      log.warn(message, { behindMs });
    }
    return neverBack(own, store.timeReached);
  }
  return {
    now: () => own.now() + (store.timeOffset?.() ?? 0),
    ...defined({ elapsed: own.elapsed }),
    after: (ms, callback) => own.after(ms, callback),
    soon: (callback) => own.soon(callback),
  };
}

/** Who listens everywhere is reached by the name of the machine. */
function reachableAt(host: string, port: number): string {
  const isUnspecified = host === "0.0.0.0" || host === "::";
  return addressOf(isUnspecified ? hostname() : host, port);
}

/** A taken port is what goes wrong most: the sentence names it, and the flag that helps. */
async function explained(error: unknown, config: Config): Promise<unknown> {
  if ((error as { code?: string }).code !== "EADDRINUSE") return error;
  for (const [flag, port, host = config.host] of [
    ["--http-port", config.httpPort],
    ["--grpc-port", config.grpcPort],
    ["--legacy-port", config.legacy?.port ?? 0, config.legacy?.host],
  ] as const) {
    if (isFree(host, port)) continue;
    return new Error(
      `port ${port} is taken by another program (perhaps another Orchy): stop that one, or take ` +
        `another port with ${flag} <port>, e.g. ${flag} ${port + 1}`,
    );
  }
  return error;
}

function isFree(hostname: string, port: number): boolean {
  try {
    Bun.listen({ hostname, port, socket: { data() {} } }).stop(true);
    return true;
  } catch {
    return false;
  }
}

function storeUrl(address: Config["store"]): string {
  if (address.kind === "memory") return "memory:";
  return address.kind === "sqlite" ? `sqlite:${address.path}` : address.url;
}
