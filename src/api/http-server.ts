/**
 * The HTTP port: REST and the RPC services over HTTP/1.1 and HTTP/2, on one socket. Knows of
 * connections, their silence and their end; what a request means is others' concern.
 */

import type { Server } from "bun";
import { type Clock, type Ids, pause, systemIds } from "../base/clock.ts";
import { defined } from "../base/defined.ts";
import { errorKinds, OrchyError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { TlsFiles } from "../config/tls.ts";
import type { PeerLine } from "../runtime/peers/peer-line.ts";
import type { Keys } from "../runtime/services/keys.ts";
import type { Orchestrator } from "../runtime/shared/orchestrator.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Access } from "./access.ts";
import type { Audit } from "./audit.ts";
import type { Backlogs } from "./backlog.ts";
import type { Door } from "./door.ts";
import { hearPeer, peersPath } from "./peers.ts";
import { createRestHandler, refusal, serverBodyBytesMax, splitUrl } from "./rest/handler.ts";
import type { WaitingRequest } from "./rest/route.ts";
import { allRoutes } from "./rest/routes.ts";
import type { Unpacker } from "./unpacker.ts";

/** Requests that begin in one turn of the event loop; further ones wait for the next. */
const requestsPerTurnMax = 256;

/** The RPC services as they are mounted here. */
interface RpcHandler {
  handles(pathname: string): boolean;
  readonly paths: readonly string[];
  readonly unpacker: Unpacker;
  fetch(request: Request, server: Server<undefined>, sentTo: string | undefined): Promise<Response>;
}

interface HttpServerOptions {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  readonly orchestrator: Orchestrator;
  readonly keys: Keys;
  readonly access: Access;
  readonly audit: Audit;
  readonly door: Door;
  readonly corsOrigins: readonly string[];
  readonly tls: TlsFiles | undefined;
  readonly backlogs: Backlogs;
  readonly connect: RpcHandler;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly ids?: Ids;
  /** Takes what other servers of the store send. */
  readonly peers?: PeerLine;
  /** How long callers are sent elsewhere, before connections end. */
  readonly tellMs?: number;
}

interface HttpServer {
  readonly port: number;
  /**
   * Ends waits and event streams, sends callers elsewhere, takes no new connections, and waits
   * for what is under way, for limits.drainMs at most.
   */
  drain(): Promise<void>;
  /** Closes all connections. */
  stop(): Promise<void>;
}

/** How often a draining server checks whether all answers have been sent. */
const drainLookMs = 10;

/** Connections end when no call has come for the first time, or at the latest after the second. */
const drainQuietMs = 50;
const drainGraceMs = 1_000;

/** Throws when the port cannot be taken. */
export function startHttpServer(options: HttpServerOptions): HttpServer {
  const { orchestrator, keys, access, audit, door, backlogs, connect, log, metrics, clock } =
    options;
  const { ids = systemIds, peers } = options;
  const { unpacker } = connect;
  const callers = { keys, access, audit, door };
  const services = { orchestrator, ...callers, backlogs, unpacker, clock, ids, log, metrics };
  const routes = allRoutes();
  const rest = createRestHandler(routes, services, options.corsOrigins);
  const draining = new AbortController();
  let drainingCallAt = 0;

  function answer({ request, server, sentTo }: Incoming): Promise<Response> {
    const { path } = splitUrl(request.url);
    if (peers !== undefined && path === peersPath) {
      return hearPeer(request, { line: peers, bodies: backlogs.bodies });
    }
    const isRpc = connect.handles(path);
    if (isRpc) return connect.fetch(request, server, sentTo);
    return rest(request, {
      wait: () => letWait(request, server, draining.signal),
      address: () => server.requestIP(request)?.address,
      sentTo,
    });
  }

  /** What a peer takes back comes in the same read: then nothing needs to be done. */
  async function answerLater(incoming: Incoming): Promise<Response> {
    await turn.next();
    return incoming.request.signal.aborted ? takenBack() : answer(incoming);
  }

  function answerInTurn(incoming: Incoming): Promise<Response> {
    return turn.isFull() ? answerLater(incoming) : answer(incoming);
  }

  /**
   * Without the header a caller of HTTP/1.1 may send its next request just when its connection is
   * closed, and would not know whether it was received. Bun leaves it out over HTTP/2.
   */
  async function answerLast(incoming: Incoming): Promise<Response> {
    drainingCallAt = clock.now();
    const response = await answerInTurn(incoming);
    response.headers.set("connection", "close");
    return response;
  }

  const receive = (sentTo?: string) => (request: Request, server: Server<undefined>) => {
    const incoming = { request, server, sentTo };
    return draining.signal.aborted ? answerLast(incoming) : answerInTurn(incoming);
  };

  const paths = new Set([...routes.map(({ path }) => path), ...connect.paths]);
  const turn = new Turn(requestsPerTurnMax);
  const server = Bun.serve({
    hostname: options.host,
    port: options.port,
    http2: true,
    ...defined({ tls: options.tls }),
    maxRequestBodySize: serverBodyBytesMax,
    idleTimeout: limits.httpIdleSeconds,
    development: false,
    // Otherwise a second server would quietly share the port, and take half of the requests.
    reusePort: false,
    // These see paths as they were sent; the address of a request is normalised.
    routes: Object.fromEntries([...paths].map((path) => [patternOf(path), receive(path)])),
    fetch: receive(),
    error(error) {
      log.error("the HTTP server failed", { error });
      return refusal(new OrchyError("INTERNAL", errorKinds.INTERNAL.sentence));
    },
  });

  async function untilQuiet(quietMs: number, withinMs: number): Promise<void> {
    const until = clock.now() + withinMs;
    const isQuiet = () => server.pendingRequests === 0 && clock.now() - drainingCallAt >= quietMs;
    while (!isQuiet() && clock.now() < until) await pause(drainLookMs, clock);
  }

  return {
    port: server.port!,
    async drain() {
      draining.abort();
      drainingCallAt = clock.now();
      // A client that sees its connection end may give up the answers that it waits for there,
      // among them polls that were just given tasks: these are sent before.
      await untilQuiet(Math.max(drainQuietMs, options.tellMs ?? 0), drainGraceMs);
      // Closes idle connections and takes no new ones; clients of HTTP/2 get GOAWAY.
      // Its promise may resolve before the answers that are under way, so they are watched.
      server.stop().catch(() => {});
      await untilQuiet(0, limits.drainMs);
    },
    async stop() {
      draining.abort();
      await server.stop(true);
    },
  };
}

interface Incoming {
  readonly request: Request;
  readonly server: Server<undefined>;
  /** The path of the route that the path fits as it was sent. */
  readonly sentTo: string | undefined;
}

/** `/v1/keys/{id}` as the server's router writes it. */
function patternOf(path: string): string {
  return path.replace(/\{(\w+)\}/g, ":$1");
}

/** Counts what begins in one turn of the event loop, be it by one peer or by many. */
class Turn {
  readonly #max: number;
  #begun = 0;
  #next: Promise<void> | undefined;

  constructor(max: number) {
    this.#max = max;
  }

  isFull(): boolean {
    if (this.#begun === 0) {
      setImmediate(() => {
        this.#begun = 0;
      });
    }
    this.#begun += 1;
    return this.#begun > this.#max;
  }

  next(): Promise<void> {
    this.#next ??= new Promise((resolve) =>
      setImmediate(() => {
        this.#next = undefined;
        resolve();
      }),
    );
    return this.#next;
  }
}

/** It is never read, and there may be thousands of them: it is as cheap as can be. */
const takenBack = () => new Response(null, { status: 503 });

/**
 * Lets a request wait. Bun closes a connection on which nothing moves, so the timeout is off while
 * it waits, and on again after.
 */
function letWait(
  request: Request,
  server: Server<undefined>,
  draining: AbortSignal,
): WaitingRequest {
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
