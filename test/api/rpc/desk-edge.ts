/** Starts the RPC edge on real ports of this machine: HTTP (Connect, gRPC-Web) and gRPC. */

import { createConnectHandler } from "../../../src/api/rpc/connect-handler.ts";
import { type GrpcServer, startGrpcServer } from "../../../src/api/rpc/grpc-server.ts";
import type { LegacyWorkers } from "../../../src/api/rpc/legacy-service.ts";
import { createDesk, type Desk } from "./desk.ts";

export interface Edge {
  readonly desk: Desk;
  readonly url: string;
  readonly grpcUrl: string;
  readonly grpc: GrpcServer;
  stop(): Promise<void>;
}

export async function startEdge({
  legacyWorkers = "loopback" as LegacyWorkers,
} = {}): Promise<Edge> {
  const desk = createDesk();
  const options = { orchestrator: desk, legacyWorkers };
  const handler = createConnectHandler(options);
  const http = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    http2: true,
    fetch(request, server) {
      if (!handler.handles(new URL(request.url).pathname)) return new Response("", { status: 404 });
      return handler.fetch(request, server);
    },
  });
  const grpc = await startGrpcServer({ ...options, host: "127.0.0.1", port: 0 });
  return {
    desk,
    url: `http://127.0.0.1:${http.port}`,
    grpcUrl: `http://127.0.0.1:${grpc.port}`,
    grpc,
    async stop() {
      await Promise.all([http.stop(true), grpc.stop()]);
    },
  };
}
