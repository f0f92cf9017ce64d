/**
 * What the door has let in of pages: those of named origins may read, and what a page can send
 * without asking (forms, images, links) changes nothing.
 */
import { OrchyError } from "../../base/errors.ts";
import { jsonType } from "./request.ts";
import type { Answer, Route } from "./route.ts";

const methods = "GET, POST, PUT, DELETE";
const requestHeaders =
  "authorization, content-encoding, content-type, idempotency-key, last-event-id, traceparent, tracestate";
const answerHeaders = "accept-encoding, location, retry-after, www-authenticate";
/** How long a browser may keep the answer to a preflight. */
const preflightSeconds = 600;

/** Headers for the answer to a named origin; undefined for all others, and without an origin. */
export function originHeaders(
  request: Request,
  allowed: readonly string[],
): Readonly<Record<string, string>> | undefined {
  if (allowed.length === 0) return undefined;
  const origin = request.headers.get("origin");
  if (origin === null || !allowed.includes(origin)) return undefined;
  return {
    "access-control-allow-origin": origin,
    "access-control-expose-headers": answerHeaders,
    // It is read by what it allows, whatever a cache in between would share.
    "cross-origin-resource-policy": "cross-origin",
    vary: "origin",
  };
}

/** A preflight: what a browser sends before a request that a form could not make. */
export function preflightAnswer(request: Request): Answer | undefined {
  if (request.method !== "OPTIONS") return undefined;
  if (request.headers.get("access-control-request-method") === null) return undefined;
  return {
    status: 204,
    headers: {
      "access-control-allow-methods": methods,
      "access-control-allow-headers": requestHeaders,
      "access-control-max-age": String(preflightSeconds),
    },
  };
}

/**
 * Images and links send no origin. Browsers name their kind in a header, where the server is called
 * by TLS or by a name or address of the loopback interface; elsewhere a GET of a browser may come
 * from any page. Reading is harmless, as without CORS the page never sees the answer.
 */
export function refuseOtherSites({ method, headers }: Request, route: Route): void {
  if (!route.changes) return;
  const site = headers.get("sec-fetch-site");
  if (site === "cross-site" || site === "same-site") {
    throw new OrchyError(
      "PERMISSION_DENIED",
      "Pages of other origins may not send requests that change something. Add the origin to --cors-origin if it may.",
    );
  }
  if (method === "GET" && site === null && isBrowser(headers)) {
    const message =
      "A browser does not say which page sends this GET, which changes something. Call it by " +
      "localhost or TLS, with a key, or by another client.";
    throw new OrchyError("PERMISSION_DENIED", message);
  }
}

/** Pages can neither change these headers of images and links, nor send a key with them. */
function isBrowser(headers: Headers): boolean {
  const isNamed = headers.get("user-agent")?.startsWith("Mozilla/") ?? false;
  return isNamed && headers.has("accept-language") && !headers.has("authorization");
}

/** A page may send JSON to another origin only after a preflight; a form, or nothing, without. */
export function refuseForms({ method, headers }: Request): void {
  if (method !== "POST" || headers.get("origin") === null) return;
  if (jsonType.test(headers.get("content-type") ?? "")) return;
  throw new OrchyError(
    "UNSUPPORTED_MEDIA_TYPE",
    'Pages must add the header "content-type: application/json" to a POST, even without a body.',
  );
}
