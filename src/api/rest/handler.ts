/** From a request to its answer: finds the route, checks what came in, calls the handler. */
import type { OrchyError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import type { Backlog } from "../backlog.ts";
import type { Sender } from "../caller.ts";
import { checkPath } from "../door.ts";
import { paced, pacedPieces } from "../paced.ts";
import { protectiveHeaders } from "../protective-headers.ts";
import { originHeaders, preflightAnswer, refuseForms, refuseOtherSites } from "./cors.ts";
import { errorAnswer, toOrchyError } from "./errors.ts";
import { jsonPieces, streamedMembers, toJsonText } from "./json.ts";
import { type Incoming, readCall } from "./request.ts";
import type { Answer, Route, Services, WaitingRequest } from "./route.ts";
import { createRouter } from "./router.ts";
import { watchWaiting } from "./watched.ts";

/** What the handler needs of the HTTP server that received the request. */
interface Connection {
  /** Lets the connection be silent for as long as the request waits. */
  readonly wait: () => WaitingRequest;
  /** Of the caller; undefined when it is gone. */
  readonly address: () => string | undefined;
  /** The path of the route that the path fits as it was sent. */
  readonly sentTo: string | undefined;
}

type RestHandler = (request: Request, connection: Connection) => Promise<Response>;

/** `corsOrigins`: whose pages may read answers, and change things with a key. */
export function createRestHandler(
  routes: readonly Route[],
  services: Services,
  corsOrigins: readonly string[],
): RestHandler {
  const router = createRouter(routes);
  const { access, audit, door, backlogs, clock, log, metrics } = services;
  const { mainThread } = metrics;

  /**
   * An answer that is made while it is sent begins here, so that an early error still has its
   * status.
   */
  async function withBody(answer: Answer): Promise<Answer> {
    const members = streamedMembers(answer.json);
    if (members === undefined) return answer;
    const onFault = (error: unknown) => void toOrchyError(error, services);
    const body = await pacedPieces(jsonPieces(members), backlogs.responses, onFault);
    return { ...answer, text: { type: "application/json", body } };
  }

  return async (request, connection) => {
    const startedAt = clock.now();
    const { path, query } = splitUrl(request.url);
    const named = originHeaders(request, corsOrigins);
    const preflight = named && preflightAnswer(request);
    if (preflight) return toResponse(preflight, false, named);
    let route: Route | undefined;
    let answer: Answer;
    let waiting: WaitingRequest | undefined;
    let isLive = false;
    try {
      const host = request.headers.get("host");
      const origin = request.headers.get("origin");
      const admitted = door.admit({ host, origin, isGrpc: false });
      if (admitted) await admitted;
      const match = router.match(request.method, path);
      route = match.route;
      checkPath(match.nearest, connection.sentTo);
      if (!named) refuseOtherSites(request, route);
      refuseForms(request);
      const caller = await access.admit(route.access, senderOf(request, route, connection));
      const wait = () => {
        waiting ??= watchWaiting(connection.wait(), access, caller);
        return waiting;
      };
      const changed: Incoming["audit"] = (...change) => audit.changed(caller, ...change);
      const checkAction = (action: string) => access.checkActions(caller, [action]);
      const who = caller.key && { who: caller.key.name };
      const by = { audit: changed, checkAction, ...who };
      const incoming = { ...match, query, request, services, wait, ...by };
      const call = await readCall(incoming);
      const handledAt = performance.now();
      const handling = route.handle(call as never);
      mainThread.ran("request", nameOf(route), handledAt);
      const made = await handling;
      isLive = made.text?.body instanceof ReadableStream;
      answer = await withBody(made);
    } catch (thrown) {
      const style = route?.style ?? router.styleOf(path);
      answer = errorAnswer(toOrchyError(thrown, services), style);
    }
    if (!isLive) waiting?.release();
    metrics.restRequest(route?.method ?? "none", route?.path ?? "none", answer.status);
    log.debug("request", {
      method: request.method,
      route: route?.path,
      status: answer.status,
      ms: clock.now() - startedAt,
    });
    const answeredAt = performance.now();
    const response = toResponse(answer, request.method === "HEAD", named, backlogs.responses);
    mainThread.ran("request", nameOf(route), answeredAt);
    return response;
  };
}

/** The address is read at once, as a caller may be gone when a change is done. */
function senderOf(request: Request, route: Route, connection: Connection): Sender {
  const address = connection.address();
  const authorization = request.headers.get("authorization");
  return { authorization, address: () => address, call: nameOf(route) };
}

function nameOf(route: Route | undefined): string {
  return route === undefined ? "none" : `${route.method} ${route.path}`;
}

/** Without the URL class, as a strange host header makes the request's address an invalid URL. */
export function splitUrl(url: string): { readonly path: string; readonly query: string } {
  const authority = /^https?:\/\/[^/?]*/.exec(url)?.[0].length ?? 0;
  const mark = url.indexOf("?", authority);
  const end = mark < 0 ? url.length : mark;
  return { path: url.slice(authority, end) || "/", query: url.slice(end + 1) };
}

function toResponse(
  answer: Answer,
  headOnly: boolean,
  more: Readonly<Record<string, string>> = {},
  answers?: Backlog,
): Response {
  const headers: Record<string, string> = { ...protectiveHeaders, ...answer.headers, ...more };
  let body: Uint8Array<ArrayBuffer> | string | ReadableStream | null = null;
  if (answer.text) {
    headers["content-type"] = answer.text.type;
    body = answer.text.body;
  } else if (answer.json !== undefined) {
    headers["content-type"] = "application/json";
    body = `${toJsonText(answer.json)}\n`;
  }
  // What a refused body still holds must not be taken for the next request.
  if (answer.status === 413 || answer.status === 408) headers.connection = "close";
  const isWhole = typeof body === "string" || body instanceof Uint8Array;
  if (answers && !headOnly && isWhole)
    body = paced(body as string | Uint8Array<ArrayBuffer>, answers);
  if (headOnly && body instanceof ReadableStream) {
    body.cancel().catch(() => {});
    body = null;
  }
  return new Response(body, { status: answer.status, headers });
}

/** For what is refused without looking for a route. */
export function refusal(error: OrchyError): Response {
  return toResponse(errorAnswer(error, "v1"), false);
}

/** Bun's own bound lies above ours, so that ours can be refused with a sentence. */
export const serverBodyBytesMax = 4 * limits.requestBytesMax;
