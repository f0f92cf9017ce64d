/**
 * The HTTP port: REST and the RPC services over HTTP/1.1 and HTTP/2, on one socket. Knows of
 * connections, their silence and their end; what a request means is others' concern.
 */
import type { Server } from "bun";
import { type Clock, type Ids, systemIds } from "../clock.ts";
import { OrchyError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { Logger } from "../log.ts";
import type { Orchestrator } from "../runtime/orchestrator.ts";
import { checkAnnouncedLength } from "./body.ts";
import { createRestHandler, refusal, serverBodyBytesMax, splitUrl } from "./rest/handler.ts";
import type { Held } from "./rest/route.ts";
import { allRoutes } from "./rest/routes.ts";

/** The RPC services as they are mounted here. */
export interface RpcHandler {
  handles(pathname: string): boolean;
  fetch(request: Request, server: Server<undefined>): Promise<Response>;
}

export interface HttpServerOptions {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  readonly orchestrator: Orchestrator;
  readonly connect: RpcHandler;
  readonly log: Logger;
  readonly clock: Clock;
  readonly ids?: Ids;
}

export interface HttpServer {
  readonly port: number;
  /**
   * Takes no new connections, ends waits and event streams, and waits for what is under way, for
   * limits.drainMs at most.
   */
  drain(): Promise<void>;
  /** Closes all connections. */
  stop(): Promise<void>;
}

/** Throws when the port cannot be taken. */
export function startHttpServer(options: HttpServerOptions): HttpServer {
  const { orchestrator, connect, log, clock, ids = systemIds } = options;
  const rest = createRestHandler(allRoutes(clock), { orchestrator, clock, ids, log });
  const draining = new AbortController();
  let underWay = 0;
  let onIdle = () => {};

  async function answer(request: Request, server: Server<undefined>): Promise<Response> {
    const { path } = splitUrl(request.url);
    try {
      checkAnnouncedLength(request.headers, limits.requestBytesMax);
      refuseWhileDraining(path);
    } catch (error) {
      return refusal(error as OrchyError);
    }
    if (connect.handles(path)) return connect.fetch(request, server);
    let held: Held | undefined;
    const hold = () => {
      held ??= holdRequest(request, server, draining.signal);
      return held;
    };
    const response = await rest(request, { hold });
    if (response.headers.get("content-type") !== "text/event-stream") held?.release();
    return response;
  }

  /** Polls and results pass: the orchestrator answers them, and workers must be able to finish. */
  function refuseWhileDraining(path: string): void {
    if (!draining.signal.aborted || path.startsWith("/health/") || connect.handles(path)) return;
    throw new OrchyError("UNAVAILABLE", "This server is shutting down; ask another one.");
  }

  const server = Bun.serve({
    hostname: options.host,
    port: options.port,
    http2: true,
    maxRequestBodySize: serverBodyBytesMax,
    idleTimeout: limits.httpIdleSeconds,
    development: false,
    async fetch(request, server) {
      underWay++;
      try {
        return await answer(request, server);
      } finally {
        underWay--;
        if (underWay === 0) onIdle();
      }
    },
    error(error) {
      log.error("the HTTP server failed", { error });
      return refusal(new OrchyError("INTERNAL", "A fault of Orchy itself."));
    },
  });

  return {
    port: server.port!,
    async drain() {
      if (draining.signal.aborted) return;
      draining.abort();
      // Resolves when all connections are closed, which idle ones may never be.
      server.stop().catch(() => {});
      if (underWay === 0) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      onIdle = resolve;
      const cancel = clock.after(limits.drainMs, resolve);
      await promise;
      cancel();
    },
    async stop() {
      draining.abort();
      await server.stop(true);
    },
  };
}

/**
 * Lets a request wait. Bun closes a connection on which nothing moves, so the timeout is off while
 * it waits, and on again after.
 */
function holdRequest(request: Request, server: Server<undefined>, draining: AbortSignal): Held {
  const gone = new AbortController();
  const sources = [request.signal, draining];
  const end = () => gone.abort();
  server.timeout(request, 0);
  for (const source of sources) {
    if (source.aborted) end();
    else source.addEventListener("abort", end);
  }
  return {
    signal: gone.signal,
    release() {
      // The listeners would otherwise keep the request for as long as the server runs.
      for (const source of sources) source.removeEventListener("abort", end);
      server.timeout(request, limits.httpIdleSeconds);
    },
  };
}
