/** Reads and checks what a request carries: parameters, query, headers, body. */

import { defined } from "../../base/defined.ts";
import { OrchyError, type Problem } from "../../base/errors.ts";
import { holdsMoreParts, isTooDeep } from "../../base/json-shape.ts";
import { limits } from "../../base/limits.ts";
import { pick } from "../../language/data/json-text.ts";
import { parseExact } from "../../model/numbers.ts";
import { readBody } from "../body.ts";
import { notJson } from "../json-syntax.ts";
import { codingsOf } from "../unpacker.ts";
import { checkJson, checkTexts, type Respelled, respelled, unknownName } from "./check.ts";
import type { Call, Route, Services, WaitingRequest } from "./route.ts";

export interface Incoming {
  readonly route: Route;
  readonly params: ReadonlyMap<string, string>;
  readonly query: string;
  readonly request: Request;
  readonly services: Services;
  readonly wait: () => WaitingRequest;
  readonly audit: AnyCall["audit"];
  readonly checkAction: AnyCall["checkAction"];
  readonly who?: string;
}

export type AnyCall = Call<unknown, unknown, unknown>;

/** Throws OrchyError with everything that is wrong in one part. */
export async function readCall(incoming: Incoming): Promise<AnyCall> {
  const { route, request, services, wait, audit, checkAction, who } = incoming;
  const params = valid(
    checkTexts(route.params, incoming.params, (name) => `{${name}}`),
    "The path is invalid.",
  );
  const query = readQuery(route, incoming.query);
  valid(
    checkTexts(route.headers, new Map(request.headers.entries()), (name) => name),
    "A header is invalid.",
  );
  const body = route.body ? await readJsonBody(incoming) : emptyBody;
  return {
    params,
    query,
    body: body.value,
    bodyText: (first, ...rest) =>
      pick(body.text, first === undefined ? [] : [body.spelledAs(first), ...rest]),
    headers: request.headers,
    get signal() {
      return request.signal;
    },
    services,
    wait,
    audit,
    checkAction,
    ...defined({ who }),
  };
}

function valid(checked: ReturnType<typeof checkJson>, message: string): unknown {
  if (checked.ok) return checked.value;
  throw new OrchyError("INVALID_ARGUMENT", message, checked.problems);
}

/** An empty value counts as absent: scripts leave `?status=` behind. */
function readQuery(route: Route, query: string): unknown {
  const known = Object.keys(route.query);
  const texts = new Map<string, string>();
  const problems: Problem[] = [];
  for (const [name, text] of new URLSearchParams(query)) {
    const pointer = `?${name.slice(0, limits.nameCharsMax)}`;
    if (problems.length >= limits.definitionProblemsMax) break;
    if (!known.includes(name)) {
      problems.push({ pointer, message: unknownName("query parameter", name, known) });
    } else if (texts.has(name)) {
      problems.push({ pointer, message: "It is given twice; send it once." });
    } else if (text !== "") {
      texts.set(name, text);
    }
  }
  const checked = checkTexts(route.query, texts, (name) => `?${name}`);
  if (!checked.ok) problems.push(...checked.problems);
  if (problems.length === 0 || (checked.ok && route.style === "legacy")) return valid(checked, "");
  throw new OrchyError("INVALID_ARGUMENT", "The query is invalid.", problems);
}

export const jsonType = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i;

const spelledAs = (name: string) => name;
const emptyBody = { value: undefined as unknown, text: "", spelledAs };

async function readJsonBody({ route, request, services }: Incoming) {
  const bytesMax = route.bodyBytesMax ?? limits.restBodyBytesMax;
  const encoding = request.headers.get("content-encoding");
  const codings = codingsOf(encoding, "UNSUPPORTED_MEDIA_TYPE");
  const sent = await readBody(request, { bytesMax, bodies: services.backlogs.bodies });
  const bytes = await services.unpacker.unpack(sent, { codings, bytesMax });
  if (bytes.byteLength === 0 && route.bodyOptional) return { ...emptyBody, value: {}, text: "{}" };

  const type = request.headers.get("content-type");
  if (route.style === "v1" && type !== null && !jsonType.test(type)) {
    throw new OrchyError(
      "UNSUPPORTED_MEDIA_TYPE",
      'The body must be JSON and say so: add the header "content-type: application/json".',
    );
  }
  const startedAt = performance.now();
  try {
    const text = decode(bytes);
    checkForm(text, route.bodyPartsMax ?? limits.restPartsMax);
    const read = route.bodyExact ? parseExact : JSON.parse;
    const { value, spelledAs } = respell(route, parse(text, read));
    return { value: valid(checkJson(route.body!, value), "The body is invalid."), text, spelledAs };
  } finally {
    services.metrics.mainThread.ran("request", `${route.method} ${route.path}`, startedAt);
  }
}

/** The Go server, which the legacy routes follow, read members in any letter case. */
function respell({ style, body }: Route, value: unknown): Respelled {
  return style === "legacy" ? respelled(body!, value) : { value, spelledAs };
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new OrchyError("INVALID_ARGUMENT", "The body is not UTF-8.");
  }
}

/** What can be refused before anything is made of it. */
function checkForm(text: string, partsMax: number): void {
  if (text.trim() === "") throw new OrchyError("INVALID_ARGUMENT", "The body is empty.");
  if (isTooDeep(text, limits.jsonDepthMax)) {
    const message = `The JSON is nested deeper than ${limits.jsonDepthMax} levels.`;
    throw new OrchyError("INVALID_ARGUMENT", message);
  }
  if (holdsMoreParts(text, partsMax)) {
    const message =
      `The body has more than ${partsMax} parts (values, and member names, which count twice). ` +
      "Send fewer, or a large value as one string.";
    throw new OrchyError("TOO_LARGE", message);
  }
}

function parse(text: string, read: (text: string) => unknown): unknown {
  try {
    return read(text);
  } catch {
    throw notJson(text);
  }
}
