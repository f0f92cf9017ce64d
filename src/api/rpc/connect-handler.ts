/**
 * Serves the worker services on the HTTP port: Connect unary (protobuf and JSON) by an adapter of
 * our own that reads and writes whole bodies, which costs half of what the library's streams cost
 * per call; gRPC-Web through the library.
 */
import { fromBinary, type Message } from "@bufbuild/protobuf";
import { createConnectRouter, createContextValues } from "@connectrpc/connect";
import {
  createAsyncIterable,
  type UniversalHandler,
  type UniversalServerRequest,
  universalServerResponseToFetch,
} from "@connectrpc/connect/protocol";
import { OrchyError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import type { Backlogs } from "../backlog.ts";
import { checkPath, isGrpc } from "../door.ts";
import { paced } from "../paced.ts";
import { protectiveHeaders } from "../protective-headers.ts";
import type { Unpacker } from "../unpacker.ts";
import { type CallContext, type MountedMethod, type Peer, senderOf } from "./call.ts";
import { checkedBody } from "./checked-body.ts";
import { gzipThrough } from "./compression.ts";
import { decodeJson } from "./decode-json.ts";
import { type Encoding, encode } from "./encode.ts";
import { checkBinaryParts } from "./parts.ts";
import { BodyReader } from "./read-body.ts";
import { canceled, deadlineExceeded, type RpcError, rpcError } from "./rpc-error.ts";
import {
  binaryOptions,
  gate,
  mountServices,
  peerKey,
  route,
  routerOptions,
  type ServiceOptions,
  workerServices,
} from "./services.ts";
import { isNativeGrpc, needsGrpcPort } from "./wrong-port.ts";

/** What it needs of the server that received the request: a `Bun.Server`. */
interface RequestSource {
  requestIP(request: Request): { readonly address: string } | null;
  timeout(request: Request, seconds: number): void;
}

interface ConnectHandler {
  /** Whether a path belongs to an RPC service, be its method known or not. */
  handles(pathname: string): boolean;
  /** Of all methods. */
  readonly paths: readonly string[];
  /** One for each port: bodies that are to be unpacked there are unpacked one after the other. */
  readonly unpacker: Unpacker;
  /** Never throws. `sentTo`: one of `paths`, if the path was sent like it. */
  fetch(request: Request, server: RequestSource, sentTo: string | undefined): Promise<Response>;
}

interface ConnectOptions extends ServiceOptions {
  /** No call gets here without a verified certificate. */
  readonly clientsVerified: boolean;
  /** Where clients of gRPC belong. */
  readonly grpcPort: () => number;
  readonly backlogs: Backlogs;
}

/**
 * Health and reflection, for clients of gRPC: at this port they get the address of the other one.
 */
const grpcServices = "/grpc.";

// biome-ignore lint/complexity/noExcessiveLinesPerFunction: its functions share what every call needs.
export function createConnectHandler(options: ConnectOptions): ConnectHandler {
  const { access, door, backlogs, clientsVerified, log, metrics } = options;
  const reader = new BodyReader(backlogs.bodies);
  const mounted = mountServices(options);
  const methods = new Map(mounted.map((method) => [method.path, method]));
  const prefixes = [...workerServices.map(({ typeName }) => `/${typeName}/`), grpcServices];
  const grpcWeb = grpcWebHandlers(mounted, options, reader.unpacker);

  async function answer(
    request: Request,
    server: RequestSource,
    sentTo: string | undefined,
  ): Promise<Response> {
    const { method: verb, headers } = request;
    const admitted = door.admit({
      host: headers.get("host"),
      origin: headers.get("origin"),
      isGrpc: isGrpc(verb, headers.get("content-type")),
    });
    if (admitted) await admitted;
    const type = contentType(request);
    if (isNativeGrpc(type)) return needsGrpcPort(options.grpcPort());
    const path = pathOf(request.url);
    const method = methods.get(path);
    if (method === undefined) {
      const message = `There is no method ${path.slice(0, 300)}.`;
      return errorResponse({ status: 404, code: "unimplemented", message });
    }
    checkPath(path, sentTo);
    if (request.method !== "POST") {
      const message = "RPC methods need POST.";
      const error = errorResponse({ status: 405, code: "unimplemented", message });
      error.headers.set("allow", "POST");
      return error;
    }
    const encoding = encodings.get(type);
    const peer = () => ({
      address: server.requestIP(request)?.address,
      verified: clientsVerified,
    });
    if (encoding !== undefined) return call({ request, server, peer, method, encoding });
    if (!type.startsWith("application/grpc-web")) return errorResponse(unsupported(type));

    const handler = grpcWeb.get(path)!;
    const sent = createAsyncIterable([await readBodyThenPark(reader, request, server)]);
    const universal: UniversalServerRequest = {
      httpVersion: "",
      method: request.method,
      url: request.url,
      header: request.headers,
      // Not through the library, which would take hold of a stream that has been read.
      body: checkedBody(sent, { handler, header: headers, unpacker: reader.unpacker }),
      signal: request.signal,
      contextValues: createContextValues().set(peerKey, peer),
    };
    const response = universalServerResponseToFetch(await handler(universal));
    for (const [name, value] of Object.entries(protectiveHeaders)) {
      response.headers.set(name, value);
    }
    return response;
  }

  async function call(received: Received): Promise<Response> {
    const { request, server, peer, method, encoding } = received;
    const refuse = (error: RpcError) => {
      metrics?.rpcRequest(method.path, error.code);
      return errorResponse(error);
    };
    const deadline = startDeadline(request);
    if ("error" in deadline) return refuse(deadline.error);
    const { signal, timeoutMs, passed } = deadline;

    async function run(): Promise<Response> {
      const sender = senderOf(request.headers.get("authorization"), peer, method);
      const caller = await method.admit(sender, peer);
      const stillAdmitted = () => access.stillAdmits(caller);
      const bytes = await readBodyThenPark(reader, request, server);
      const startedAt = performance.now();
      const input = decode(method, encoding, bytes);
      const json = encoding === "json";
      const context = { signal, timeoutMs, peer, caller, json, stillAdmitted };
      const running = method.run(input, context);
      metrics?.mainThread.ran("request", method.path, startedAt);
      const output = await running;
      const encodedAt = performance.now();
      const body = paced(encode(method, encoding, output), backlogs.responses);
      metrics?.mainThread.ran("request", method.path, encodedAt);
      return new Response(body, { headers: headers[encoding] });
    }

    try {
      const response = await (passed === undefined ? run() : Promise.race([run(), passed]));
      metrics?.rpcRequest(method.path, "ok");
      return response;
    } catch (error) {
      if (error instanceof DeadlinePassed) return refuse(deadlineExceeded);
      if (request.signal.aborted) return refuse(canceled);
      return refuse(rpcError(error, method.path, log));
    } finally {
      deadline.end();
    }
  }

  return {
    handles: (pathname) => prefixes.some((prefix) => pathname.startsWith(prefix)),
    paths: [...methods.keys()],
    unpacker: reader.unpacker,
    async fetch(request, server, sentTo) {
      try {
        return await answer(request, server, sentTo);
      } catch (error) {
        return errorResponse(rpcError(error, pathOf(request.url), log));
      }
    },
  };
}

interface Received {
  readonly request: Request;
  readonly server: RequestSource;
  readonly peer: () => Peer;
  readonly method: MountedMethod;
  readonly encoding: Encoding;
}

/**
 * A parked poll is silent for longer than the server's idle timeout, which would end it and, with
 * HTTP/2, its whole connection. While a body is awaited the timeout stays.
 */
async function readBodyThenPark(reader: BodyReader, request: Request, server: RequestSource) {
  const body = await reader.read(request);
  server.timeout(request, 0);
  return body;
}

/** Without parsing the whole URL, which costs more than the rest of the dispatch. */
function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("//") + 2);
  const end = url.indexOf("?", start);
  return end < 0 ? url.slice(start) : url.slice(start, end);
}

const encodings: ReadonlyMap<string, Encoding> = new Map([
  ["application/proto", "proto"],
  ["application/json", "json"],
]);

/** Made once, as to make them costs more than to copy them. */
const headers = {
  proto: new Headers({ ...protectiveHeaders, "content-type": "application/proto" }),
  json: new Headers({ ...protectiveHeaders, "content-type": "application/json" }),
} as const;

/** The media type without its parameters. */
function contentType(request: Request): string {
  const sent = request.headers.get("content-type") ?? "";
  const end = sent.indexOf(";");
  return (end < 0 ? sent : sent.slice(0, end)).trim().toLowerCase();
}

function unsupported(type: string): RpcError {
  const sent = type === "" ? "No content type was sent" : `Content type ${type.slice(0, 100)}`;
  return {
    status: 415,
    code: "invalid_argument",
    message: `${sent}; use application/json, application/proto or application/grpc-web.`,
  };
}

function decode(method: MountedMethod, encoding: Encoding, bytes: Uint8Array): Message {
  const { input } = method.method;
  if (encoding === "json") return decodeJson(input, bytes);
  checkBinaryParts(input, bytes);
  try {
    return fromBinary(input, bytes, binaryOptions);
  } catch (error) {
    const reason = error instanceof Error ? error.message.slice(0, 300) : String(error);
    throw new OrchyError("INVALID_ARGUMENT", `The body is not a valid message: ${reason}`);
  }
}

/** Without a charset, which makes some clients take the body for that of a proxy in between. */
function errorResponse({ status, code, message }: RpcError): Response {
  return Response.json({ code, message }, { status, headers: headers.json });
}

class DeadlinePassed extends Error {}

interface Deadline extends Pick<CallContext, "signal" | "timeoutMs"> {
  /** Rejects when the time is up. */
  readonly passed: Promise<never> | undefined;
  end(): void;
}

/** Most callers name no deadline, and pay for none. */
function startDeadline(request: Request): Deadline | { readonly error: RpcError } {
  const sent = request.headers.get("connect-timeout-ms");
  if (sent === null) {
    return { signal: request.signal, timeoutMs: undefined, passed: undefined, end() {} };
  }
  const timeoutMs = /^\d{1,10}$/.test(sent) ? Number(sent) : Number.NaN;
  if (!(timeoutMs <= limits.rpcTimeoutMsMax)) {
    const message = `Connect-Timeout-Ms must be an integer of up to ${limits.rpcTimeoutMsMax}.`;
    return { error: { status: 400, code: "invalid_argument", message } };
  }
  const time = new AbortController();
  let handle: ReturnType<typeof setTimeout> | undefined;
  const passed = new Promise<never>((_resolve, reject) => {
    handle = setTimeout(() => {
      time.abort();
      reject(new DeadlinePassed());
    }, timeoutMs);
  });
  const signal = AbortSignal.any([request.signal, time.signal]);
  return { signal, timeoutMs, passed, end: () => clearTimeout(handle) };
}

function grpcWebHandlers(
  methods: readonly MountedMethod[],
  options: ServiceOptions,
  unpacker: Unpacker,
): ReadonlyMap<string, UniversalHandler> {
  const router = createConnectRouter({
    ...routerOptions,
    acceptCompression: [gzipThrough(unpacker)],
    requestGate: gate(methods, options),
    grpc: false,
    connect: false,
  });
  route(router, methods, options);
  return new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
}
