/** Pages of other origins: none may read anything here, but those that the operator has named. */
import type { Answer } from "./route.ts";

const methods = "GET, POST, PUT, DELETE";
const requestHeaders =
  "authorization, content-type, idempotency-key, last-event-id, traceparent, tracestate";
const answerHeaders = "location, retry-after, www-authenticate";
/** How long a browser need not ask again. */
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

/** What a browser asks before it sends anything that a form could not. */
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
