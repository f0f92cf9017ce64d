/**
 * Carries the calls of a gRPC connection to the library's handlers and back. Bodies and answers are
 * counted on the way, so that peers that send or read too slowly cost a bounded amount of memory.
 */

import { constants, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import {
  Code,
  ConnectError,
  type ContextValues,
  createConnectRouter,
  type HandlerContext,
} from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import {
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import { defined } from "../../base/defined.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Backlog, BacklogEntry, Backlogs } from "../backlog.ts";
import { type Door, isGrpc } from "../door.ts";
import { Unpacker } from "../unpacker.ts";
import { checkedBody } from "./checked-body.ts";
import { gzipThrough } from "./compression.ts";
import { rpcError } from "./rpc-error.ts";
import { routerOptions } from "./services.ts";
import { isNativeGrpc, needsHttpPort } from "./wrong-port.ts";

interface GrpcAdapterOptions {
  readonly door: Door;
  /** The answer to callers of anything but gRPC. */
  readonly httpPort: number;
  readonly backlogs: Backlogs;
  readonly log?: Logger | undefined;
  readonly gate: (context: HandlerContext) => Promise<void>;
  readonly contextValues: (request: Http2ServerRequest) => ContextValues;
  readonly routes: (router: ReturnType<typeof createConnectRouter>) => void;
}

/** Serves one call; resolves when it is over, however it ended. */
type GrpcAdapter = (request: Http2ServerRequest, response: Http2ServerResponse) => Promise<void>;

export function createGrpcAdapter(options: GrpcAdapterOptions): GrpcAdapter {
  const { door, backlogs, log } = options;
  const unpacker = new Unpacker(backlogs.bodies);
  const router = createConnectRouter({
    ...routerOptions,
    acceptCompression: [gzipThrough(unpacker)],
    requestGate: options.gate,
    connect: false,
    grpcWeb: false,
  });
  options.routes(router);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));

  async function answer(
    handler: UniversalHandler,
    request: Http2ServerRequest,
    response: Http2ServerResponse,
  ): Promise<void> {
    const values = options.contextValues(request);
    const received = universalRequestFromNodeRequest(request, response, undefined, values);
    const sent = metered(received.body as AsyncIterable<Uint8Array>, entryOf(backlogs.bodies), sum);
    const body = checkedBody(sent, { handler, header: received.header, unpacker });
    const answered = await handler({ ...received, body });
    const taken = answered.body && metered(answered.body, entryOf(backlogs.responses), newest);
    await universalResponseToNodeResponse({ ...answered, ...defined({ body: taken }) }, response);

    function entryOf(backlog: Backlog): BacklogEntry {
      return backlog.open(() => request.stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM));
    }
  }

  /**
   * The refused caller is a browser, or not gRPC at all: it understands only the status of HTTP.
   */
  async function isAdmitted(
    { authority, headers, method }: Http2ServerRequest,
    response: Http2ServerResponse,
  ): Promise<boolean> {
    const host = authority || headers.host;
    const grpc = isGrpc(method, headers["content-type"]);
    try {
      await door.admit({ host, origin: headers.origin, isGrpc: grpc });
      return true;
    } catch (thrown) {
      const { status, message } = rpcError(thrown, "the door", log);
      response.writeHead(status, { "content-type": "text/plain;charset=utf-8" }).end(message);
      return false;
    }
  }

  return async (request, response) => {
    const path = request.url.split("?", 1)[0]!;
    if (!(await isAdmitted(request, response))) return;
    const handler = handlers.get(path);
    if (!isNativeGrpc(request.headers["content-type"] ?? "")) {
      const status = handler === undefined ? 404 : 415;
      const body = JSON.stringify(needsHttpPort(options.httpPort));
      response.writeHead(status, { "content-type": "application/json" }).end(`${body}\n`);
      return;
    }
    if (handler === undefined) {
      response.writeHead(404).end();
      return;
    }
    try {
      await answer(handler, request, response);
    } catch (error) {
      if (ConnectError.from(error).code === Code.Aborted) return;
      log?.debug("a gRPC call failed while its response was sent", { path, error: error as Error });
    }
  };
}

/** All that came before is kept, as a message is read when it is whole. */
const sum = (kept: number, bytes: number): number => kept + bytes;
/** The next piece is requested when the one before has been sent. */
const newest = (_kept: number, bytes: number): number => bytes;

async function* metered(
  pieces: AsyncIterable<Uint8Array>,
  entry: BacklogEntry,
  count: (kept: number, bytes: number) => number,
): AsyncIterable<Uint8Array> {
  // Even of one that sends nothing the age counts.
  let kept = 1;
  entry.set(kept);
  try {
    for await (const piece of pieces) {
      kept = count(kept, piece.length);
      entry.set(kept);
      yield piece;
    }
  } finally {
    entry.close();
  }
}
