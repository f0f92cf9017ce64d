/** Wires a whole server: store, sandbox, runtime and both ports. Tests start theirs with it too. */
import { hostname } from "node:os";
import { startHttpServer } from "./api/http-server.ts";
import { createConnectHandler } from "./api/rpc/connect-handler.ts";
import { startGrpcServer } from "./api/rpc/grpc-server.ts";
import { type Clock, type Ids, systemClock, systemIds } from "./clock.ts";
import type { Config } from "./config.ts";
import { createLogger, type Logger, writeLine } from "./log.ts";
import { createRuntime } from "./runtime/runtime.ts";
import { createSandbox } from "./sandbox/pool.ts";
import { openStore } from "./store/open.ts";
import type { Store } from "./store/store.ts";
import { version } from "./version.ts";

/** What a test may replace. */
export interface ServerParts {
  readonly clock?: Clock;
  readonly ids?: Ids;
  readonly log?: Logger;
  readonly store?: Store;
}

export interface RunningServer {
  readonly httpPort: number;
  readonly grpcPort: number;
  /** Answers polls, finishes what is under way, closes ports and store. */
  stop(): Promise<void>;
}

export async function startServer(config: Config, parts: ServerParts = {}): Promise<RunningServer> {
  const clock = parts.clock ?? systemClock;
  const ids = parts.ids ?? systemIds;
  const log = parts.log ?? createLogger({ level: config.logLevel, clock, write: writeLine });
  const { namespace, partitions, host, legacyWorkers } = config;
  const store =
    parts.store ??
    (await openStore(storeUrl(config.store), {
      namespace,
      ...(partitions !== undefined && { partitions }),
    }));
  const sandbox = createSandbox({ clock });
  const runtime = createRuntime({ store, sandbox, clock, ids, log, namespace });
  const connect = createConnectHandler({ orchestrator: runtime, legacyWorkers, log });
  const http = await startHttpServer({
    host,
    port: config.httpPort,
    orchestrator: runtime,
    connect,
    log,
    clock,
  });
  const grpc = await startGrpcServer({
    host,
    port: config.grpcPort,
    orchestrator: runtime,
    legacyWorkers,
    log,
  });
  await runtime.open({
    id: ids.uuid(),
    name: config.nodeName ?? hostname(),
    grpcAddress: config.advertise ?? `${host}:${grpc.port}`,
    httpAddress: `${host}:${http.port}`,
    startedAt: clock.now(),
    version,
  });
  return {
    httpPort: http.port,
    grpcPort: grpc.port,
    async stop() {
      runtime.drain();
      await Promise.all([http.drain(), grpc.drain()]);
      await runtime.close();
      await Promise.all([http.stop(), grpc.stop(), sandbox.stop()]);
      await store.close();
    },
  };
}

function storeUrl(address: Config["store"]): string {
  if (address.kind === "memory") return "memory:";
  return address.kind === "sqlite" ? `sqlite:${address.path}` : address.url;
}
