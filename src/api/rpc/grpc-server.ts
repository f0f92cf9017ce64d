/**
 * Serves native gRPC clients over HTTP/2, plain or with TLS: the worker services, health and
 * reflection. It has a separate port because gRPC needs trailers, which the HTTP server cannot
 * send.
 */
import { createSecureServer, createServer, type Http2ServerRequest } from "node:http2";
import type { AddressInfo } from "node:net";
import { createContextValues } from "@connectrpc/connect";
import type { Clock } from "../../base/clock.ts";
import { limits } from "../../base/limits.ts";
import { Ration } from "../../base/ration.ts";
import type { TlsFiles } from "../../config/tls.ts";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import type { Backlogs } from "../backlog.ts";
import { createGrpcAdapter } from "./grpc-adapter.ts";
import { type AnyServer, GrpcConnections } from "./grpc-connections.ts";
import { createHealthService } from "./health-service.ts";
import { routeReflection } from "./reflection-service.ts";
import {
  gate,
  legacyServices,
  mountLegacyServices,
  mountServices,
  peerKey,
  route,
  type ServiceOptions,
  workerServices,
} from "./services.ts";
import { answerOthers } from "./wrong-port.ts";

/** Time between two warnings about TLS of one address at a port without it. */
const wrongPortWarnMs = 10 * 60_000;

export interface GrpcServerOptions extends ServiceOptions {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** The answer to callers of anything but gRPC. */
  readonly httpPort: number;
  /** Absent: plain HTTP/2. */
  readonly tls: TlsFiles | undefined;
  /** For workers of the legacy wire alone. */
  readonly legacyOnly?: boolean;
  readonly backlogs: Backlogs;
  readonly clock: Clock;
}

interface GrpcServer {
  readonly port: number;
  /**
   * Takes no new calls, lets those under way end. Parked polls end when the orchestrator drains.
   */
  drain(): Promise<void>;
  /** Ends at once; calls under way are cut off. */
  stop(): Promise<void>;
}

export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const draining = new AbortController();
  const bounds = {
    maxHeaderListPairs: 100,
    maxSessionMemory: limits.grpcSessionMebibytesMax,
    maxSessionRejectedStreams: limits.grpcRejectedStreamsMax,
    streamResetBurst: limits.grpcResetsMax,
    streamResetRate: limits.grpcResetsPerSecondMax,
    settings: {
      maxConcurrentStreams: limits.grpcStreamsPerConnectionMax,
      maxHeaderListSize: limits.rpcHeaderBytesMax,
    },
  };
  const { tls, httpPort } = options;
  const server = tls ? createSecureServer({ ...bounds, ...tls }) : createServer(bounds);
  // With TLS, a client of another protocol does not get beyond the handshake.
  if (!tls) answerOthers(server, { httpPort, onTls: warnOfTls(options) });
  const connections = new GrpcConnections(server, {
    ...options,
    onWithoutTls: (address) => options.legacy.withoutTls(address),
  });
  const adapter = createAdapter(options, draining.signal);
  server.on("request", (request, response) => {
    // Later, as what a peer takes back comes in the same read: then nothing needs to be done.
    setImmediate(() => {
      if (request.stream.destroyed) return;
      const ended = connections.call(request.stream.session);
      adapter(request, response).finally(ended);
    });
  });
  const port = await listen(server, options);

  return {
    port,
    async drain() {
      draining.abort();
      const closed = close(server);
      await connections.end();
      await closed;
    },
    async stop() {
      draining.abort();
      const closed = close(server);
      connections.destroy();
      await closed;
    },
  };
}

/** One line for each address in a time: such a client tries again and again. */
function warnOfTls({ clock, log }: GrpcServerOptions): (address: string | undefined) => void {
  const keysMax = limits.auditAddressesMax;
  const ration = new Ration(clock, { linesMax: 1, windowMs: wrongPortWarnMs, keysMax });
  const message = "a client speaks TLS at a gRPC port that does without; see --tls-cert";
  return (address = "unknown") => {
    const tell = (more: number) => log?.warn(message, { address, more });
    if (ration.allows(address, tell)) log?.warn(message, { address });
  };
}

function createAdapter(options: GrpcServerOptions, draining: AbortSignal) {
  const described = [...(options.legacyOnly ? legacyServices : workerServices), Health];
  const services = new Set(described.map(({ typeName }) => typeName));
  const { orchestrator, access } = options;
  const mounted = options.legacyOnly
    ? mountLegacyServices(options, ({ legacyAddress }) => legacyAddress)
    : mountServices(options);
  return createGrpcAdapter({
    ...options,
    gate: gate(mounted, options),
    contextValues: ({ socket }: Http2ServerRequest) => {
      const verified = "authorized" in socket && socket.authorized === true;
      const peer = () => ({ address: socket.remoteAddress, verified });
      return createContextValues().set(peerKey, peer);
    },
    routes(router) {
      route(router, mounted, options);
      router.service(Health, createHealthService({ orchestrator, services, draining }));
      routeReflection(router, described, access);
    },
  });
}

function listen(server: AnyServer, options: GrpcServerOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, options.host, () => {
      server.off("error", reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

function close(server: AnyServer): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}
