/**
 * Serves native gRPC clients over HTTP/2, plain or with TLS: the worker services, health and reflection. It has
 * a port of its own because gRPC needs trailers, which the HTTP server cannot send.
 */
import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type ServerHttp2Session,
} from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { createContextValues } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { limits } from "../../limits.ts";
import type { TlsFiles } from "../../tls.ts";
import { createHealthService } from "./health-service.ts";
import { routeReflection } from "./reflection-service.ts";
import {
  mountServices,
  peerKey,
  route,
  routerOptions,
  type ServiceOptions,
  workerServices,
} from "./services.ts";

export interface GrpcServerOptions extends ServiceOptions {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** Absent: plain HTTP/2. */
  readonly tls: TlsFiles | undefined;
}

export interface GrpcServer {
  readonly port: number;
  /** Takes no new calls, lets those under way end. Parked polls end when the orchestrator drains. */
  drain(): Promise<void>;
  /** Ends at once; calls under way are cut off. */
  stop(): Promise<void>;
}

export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const draining = new AbortController();
  const bounds = {
    maxHeaderListPairs: 100,
    settings: {
      maxConcurrentStreams: limits.grpcStreamsPerConnectionMax,
      maxHeaderListSize: limits.rpcHeaderBytesMax,
    },
  };
  const { tls } = options;
  const server = tls ? createSecureServer({ ...bounds, ...tls }) : createServer(bounds);
  const sessions = trackSessions(server, options);
  const sockets = trackSockets(server);
  server.on("request", createAdapter(options, draining.signal));
  const port = await listen(server, options);

  return {
    port,
    async drain() {
      draining.abort();
      const closed = close(server);
      await Promise.all([...sessions].map(closeSession));
      // Who has said nothing yet, not even a greeting of TLS, has no session to end.
      for (const socket of sockets) socket.destroy();
      await closed;
    },
    async stop() {
      draining.abort();
      const closed = close(server);
      for (const session of sessions) session.destroy();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function createAdapter(options: GrpcServerOptions, draining: AbortSignal) {
  const described = [...workerServices, Health];
  const services = new Set(described.map(({ typeName }) => typeName));
  const { orchestrator, access } = options;
  return connectNodeAdapter({
    ...routerOptions,
    connect: false,
    grpcWeb: false,
    contextValues: (request) => {
      const { socket } = request;
      const verified = "authorized" in socket && socket.authorized === true;
      const peer = () => ({ address: socket.remoteAddress, verified });
      return createContextValues().set(peerKey, peer);
    },
    routes(router) {
      route(router, mountServices(options), options);
      router.service(Health, createHealthService({ orchestrator, services, draining }));
      routeReflection(router, described, access);
    },
  });
}

type AnyServer = Http2Server | Http2SecureServer;

function trackSessions(server: AnyServer, options: GrpcServerOptions) {
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    // A connection that breaks is everyday business of its peer's; it must not end the process.
    session.on("error", (error: Error) =>
      options.log?.debug("a gRPC connection failed", { error }),
    );
  });
  for (const event of ["sessionError", "tlsClientError"]) {
    server.on(event, (error: Error) => options.log?.debug("a gRPC connection failed", { error }));
  }
  return sessions;
}

function trackSockets(server: AnyServer): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  return sockets;
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

/** Tells the peer to open no more streams, and waits for those that are open. */
function closeSession(session: ServerHttp2Session): Promise<void> {
  return new Promise((resolve) => {
    if (session.destroyed) return resolve();
    // The event, as Bun does not call back what is given to close().
    session.once("close", resolve);
    session.close();
  });
}
