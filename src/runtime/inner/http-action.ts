/** One attempt at an http action: from the resolved request to the outcome. */

import { inBytes } from "../../base/amount.ts";
import { defined } from "../../base/defined.ts";
import { failureKinds } from "../../base/errors.ts";
import { hashText } from "../../base/hash.ts";
import { holdsMoreParts, isTooDeep } from "../../base/json-shape.ts";
import { limits } from "../../base/limits.ts";
import type { HttpClient, HttpResponse } from "../../http/client.ts";
import { HttpFault } from "../../http/fault.ts";
import { pick } from "../../language/data/json-text.ts";
import { httpMethods } from "../../language/kinds/http.ts";
import { isObject } from "../../language/readers/fields.ts";
import type { TaskOutcome } from "../../model/event.ts";
import { parseTaskId } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import { isExactNumber, parseExact } from "../../model/numbers.ts";
import type { PolledTask } from "../shared/polled-task.ts";
import type { InnerAction } from "./inner-worker.ts";

export function httpAction(client: Pick<HttpClient, "send">): InnerAction {
  return async (task, signal) => {
    try {
      const { expect, ...request } = readRequest(task);
      const response = await client.send({ ...request, signal });
      return outcomeOf(response, expect);
    } catch (error) {
      return failed(error as Error);
    }
  };
}

/** A fault that the definition did not cause may be over with the next attempt. */
function failed(error: Error): TaskOutcome {
  const code = error instanceof HttpFault ? error.code : "HTTP_UNREACHABLE";
  return {
    ok: false,
    failure: { code, message: error.message },
    retryable: failureKinds[code].retried,
  };
}

function wrongRequest(message: string): HttpFault {
  return new HttpFault("HTTP_INVALID_REQUEST", message);
}

function wrongResponse(message: string): HttpFault {
  return new HttpFault("HTTP_INVALID_RESPONSE", message);
}

type Parameters = Readonly<Record<string, unknown>>;

function readRequest(task: PolledTask) {
  const parameters = parseExact(task.parameters) as Parameters;
  const { method = "GET", responseBytesMax, expect } = parameters;
  if (typeof method !== "string" || !httpMethods.includes(method.toUpperCase())) {
    throw wrongRequest(`method must be one of ${httpMethods.join(", ")}, not ${shown(method)}.`);
  }
  const headers = readHeaders(parameters.headers);
  const body = readBody(pick(task.parameters, ["body"]), headers);
  const upper = method.toUpperCase();
  if (!safeMethods.has(upper)) addMissing(headers, "idempotency-key", idempotencyKey(task.id));
  const { traceContext, traceState } = task.about;
  if (traceContext !== undefined) {
    if (addMissing(headers, "traceparent", traceContext) && traceState !== undefined) {
      addMissing(headers, "tracestate", traceState);
    }
  }
  addMissing(headers, "user-agent", "Orchy");
  addMissing(headers, "accept-encoding", "gzip, deflate, br");
  return {
    method: upper,
    url: readUrl(parameters),
    headers,
    body,
    responseBytesMax: (responseBytesMax as number | undefined) ?? limits.httpResponseBytesDefault,
    expect: expect as readonly number[] | undefined,
  };
}

/** The safe methods of RFC 9110, section 9.2.1. */
const safeMethods: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/** The same for all attempts of an action in one run, so that the receiver recognizes a repeat. */
function idempotencyKey(taskId: string): string {
  const { executionId, run, actionKey } = parseTaskId(taskId)!;
  const name = JSON.stringify([executionId, run, actionKey]);
  return hashText(name).slice(0, 32);
}

function addMissing(headers: Map<string, string>, name: string, value: string): boolean {
  if (headers.has(name)) return false;
  headers.set(name, value);
  return true;
}

function readUrl({ url: text, query }: Parameters): URL {
  if (typeof text !== "string" || !URL.canParse(text)) {
    throw wrongRequest(`url must be an absolute URL, not ${shown(text)}.`);
  }
  const url = new URL(text);
  if (url.username !== "" || url.password !== "") {
    throw wrongRequest("url must hold no user and password: set the header authorization.");
  }
  url.hash = "";
  if (query === undefined || query === null) return url;
  if (!isObject(query)) throw wrongRequest(`query must be an object, not ${shown(query)}.`);
  for (const [name, value] of Object.entries(query)) {
    // A list is the same name several times.
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item === null) continue;
      url.searchParams.append(name, textOf(item, `query.${name}`));
    }
  }
  return url;
}

/** RFC 9110: tokens, and text without control characters. */
const headerName = /^[!#$%&'*+.^_`|~\dA-Za-z-]+$/;
const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/;
/** What the connection needs is its own business. */
const ownHeaders: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

function readHeaders(given: unknown): Map<string, string> {
  const headers = new Map<string, string>();
  if (given === undefined || given === null) return headers;
  if (!isObject(given)) throw wrongRequest(`headers must be an object, not ${shown(given)}.`);
  for (const [name, value] of Object.entries(given)) {
    if (value === null) continue;
    const lower = name.toLowerCase();
    if (!headerName.test(name) || ownHeaders.has(lower)) {
      throw wrongRequest(`The header ${shown(name)} cannot be set.`);
    }
    const text = textOf(value, `headers.${name}`);
    if (!headerValue.test(text)) {
      throw wrongRequest(`The header ${name} holds a character that no header can hold.`);
    }
    headers.set(lower, text);
  }
  return headers;
}

/** Numbers with every digit. */
function textOf(value: unknown, what: string): string {
  if (typeof value === "string") return value;
  if (isExactNumber(value)) return value.rawJSON;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  throw wrongRequest(`${what} must be text, a number or a truth value, not ${shown(value)}.`);
}

/** Text goes as it is, any other value as JSON with every digit; null sends no body. */
function readBody(text: JsonText | undefined, headers: Map<string, string>): Buffer | undefined {
  if (text === undefined || text === "null") return undefined;
  if (text.startsWith('"')) {
    addMissing(headers, "content-type", "text/plain; charset=utf-8");
    return Buffer.from(JSON.parse(text) as string);
  }
  addMissing(headers, "content-type", "application/json");
  return Buffer.from(text);
}

function shown(value: unknown): string {
  return JSON.stringify(value === undefined ? null : value).slice(0, 100);
}

function outcomeOf(response: HttpResponse, expect: readonly number[] | undefined): TaskOutcome {
  const { status } = response;
  const isExpected = expect === undefined ? status < 400 : expect.includes(status);
  if (!isExpected) return refused(response);
  const body = bodyOf(response);
  const headers = JSON.stringify(response.headers);
  const output = `{"status":${status},"headers":${headers},"body":${body}}`;
  if (Buffer.byteLength(output) > limits.payloadBytesMax) {
    const message = `The response is larger than ${inBytes(limits.payloadBytesMax)} as JSON.`;
    throw new HttpFault("HTTP_RESPONSE_TOO_LARGE", message);
  }
  return { ok: true, output };
}

/** RFC 9110: the request may succeed later. */
function isTransient(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || status >= 500;
}

function refused({ status, headers, body }: HttpResponse): TaskOutcome {
  const text = new TextDecoder().decode(body.subarray(0, 4 * limits.httpDetailsCharsMax));
  const retryAfterMs = retryAfter(headers["retry-after"], headers.date);
  return {
    ok: false,
    failure: {
      code: `HTTP_${status}`,
      message: `The server returned the status ${status}.`,
      details: { status, body: text.slice(0, limits.httpDetailsCharsMax) },
    },
    retryable: isTransient(status),
    ...defined({ retryAfterMs }),
  };
}

type Header = HttpResponse["headers"][string] | undefined;

/** Seconds, or a date, which is compared with the sender's own. */
function retryAfter(text: Header, date: Header): number | undefined {
  if (typeof text !== "string") return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const [until, now] = [Date.parse(text), Date.parse(String(date))];
  return until > now ? until - now : undefined;
}

/** As JSON text: JSON as it came, with every digit; text as a string; nothing as null. */
function bodyOf({ headers, body }: HttpResponse): JsonText {
  if (body.byteLength === 0) return "null";
  const type = String(headers["content-type"] ?? "").toLowerCase();
  const text = decode(body, /charset="?([\w-]+)/.exec(type)?.[1] ?? "utf-8");
  if (!/^application\/(?:[\w.+-]+\+)?json\b/.test(type)) return JSON.stringify(text);
  if (text.trim() === "") return "null";
  if (isTooDeep(text, limits.jsonDepthMax - 1)) {
    throw wrongResponse(
      `The JSON of the response is nested deeper than ${limits.jsonDepthMax - 1} levels.`,
    );
  }
  if (holdsMoreParts(text, limits.definitionPartsMax)) {
    throw wrongResponse(
      `The JSON of the response has more than ${limits.definitionPartsMax} parts.`,
    );
  }
  try {
    JSON.parse(text);
  } catch {
    throw wrongResponse("The response is not valid JSON, which its Content-Type names.");
  }
  return text.trim();
}

function decode(body: Buffer, charset: string): string {
  try {
    return new TextDecoder(charset as "utf-8", { fatal: true }).decode(body);
  } catch {
    throw wrongResponse(`The response is not valid text in ${charset}.`);
  }
}
