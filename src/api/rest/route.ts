/**
 * What a route is: one row of the table from which the router and the OpenAPI document are made.
 * Schemas say what comes in and goes out; the handler only translates.
 */

import type * as v from "valibot";
import type { Clock, Ids } from "../../base/clock.ts";
import { defined } from "../../base/defined.ts";
import type { ErrorCode } from "../../base/errors.ts";
import type { JsonText } from "../../model/json.ts";
import type { Keys } from "../../runtime/services/keys.ts";
import type { Orchestrator } from "../../runtime/shared/orchestrator.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import type { Access, Need } from "../access.ts";
import type { Audit } from "../audit.ts";
import type { Backlogs } from "../backlog.ts";
import type { Door } from "../door.ts";
import type { Body } from "../paced.ts";
import type { Unpacker } from "../unpacker.ts";

type Method = "GET" | "POST" | "PUT" | "DELETE";
export type Schema = v.GenericSchema;
export type Fields = v.ObjectEntries;

/** What handlers work with. */
export interface Services {
  readonly orchestrator: Orchestrator;
  readonly keys: Keys;
  readonly access: Access;
  readonly audit: Audit;
  readonly door: Door;
  readonly backlogs: Backlogs;
  readonly unpacker: Unpacker;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
  readonly metrics: Metrics;
}

export interface Answer {
  readonly status: number;
  /** Becomes JSON; absent: an empty body. */
  readonly json?: unknown;
  /** Another kind of body, with its content type. */
  readonly text?: { readonly type: string; readonly body: Body };
  readonly headers?: Readonly<Record<string, string>>;
}

/** One request on its way through a handler. */
export interface Call<Params, Query, Body> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  /** The text of a member of the body exactly as it was sent, if it is there. */
  readonly bodyText: (first?: string, ...rest: string[]) => JsonText | undefined;
  readonly headers: Headers;
  /** Aborts when the caller is gone. */
  readonly signal: AbortSignal;
  readonly services: Services;
  /** Called by handlers that wait: the connection may be silent from here on. */
  readonly wait: () => WaitingRequest;
  /** Called when a change by hand is done: the log records which key did what, to what, and why. */
  readonly audit: (what: string, target: string, reason?: string) => void;
  /** Name of the key that the caller has shown. */
  readonly who?: string;
  /** Throws PERMISSION_DENIED where the key is for other actions only. */
  readonly checkAction: (action: string) => void;
}

/** A request that may wait in silence. */
export interface WaitingRequest {
  /** Aborts when the caller is gone or the server stops. */
  readonly signal: AbortSignal;
  /** The end of the wait. Only streams call it: other answers end it by being sent. */
  readonly release: () => void;
  /** Id of the key that the caller has shown. */
  readonly keyId?: string;
}

/** What the document groups its operations by. */
export const tags = {
  Workflows: "Definitions of workflows and their versions.",
  Actions: "Rules of user actions, and their queued tasks.",
  Executions: "Starting executions, and reading their state and results.",
  Operations: "Operations on executions: pause, resume, cancel, signal.",
  Sources: "Topics and queues whose messages start executions, or are signals.",
  Server: "Health, metrics, and who is connected.",
  Keys: "Keys and their scopes.",
  Workers:
    "Taking tasks and returning results, as JSON over plain POST requests; the same service is served " +
    "over Connect, gRPC-Web and gRPC (`proto/orchy/v1/worker.proto`).",
  "Legacy routes": "The routes of the Go server, for scripts that use them.",
} as const;
export type Tag = keyof typeof tags;

/** How a route reads and refuses: `v1` is strict; `legacy` is as forgiving as it always was. */
export type Style = "v1" | "legacy";

export interface Route {
  readonly method: Method;
  /** Literal segments and `{name}` ones. */
  readonly path: string;
  /** The name of the operation in the document, and of the function in generated clients. */
  readonly id: string;
  readonly tag: Tag;
  readonly summary: string;
  readonly description: string;
  readonly style: Style;
  /** A GET that changes something: it is not served as HEAD, nor to other sites' pages. */
  readonly changes: boolean;
  /** The scope that callers need. By default `read`, and `admin` for what changes something. */
  readonly access: Need;
  readonly params: Fields;
  readonly query: Fields;
  readonly body?: Schema;
  /** Nothing at all may be sent instead of a body. */
  readonly bodyOptional: boolean;
  readonly bodyBytesMax?: number;
  /** Values and names of members that it may hold. */
  readonly bodyPartsMax?: number;
  /** Whether its numbers are data: those that a double would round come as ExactNumber. */
  readonly bodyExact: boolean;
  /** Headers it reads, with their schemas, for the document and the check. */
  readonly headers: Fields;
  /** Its responses, by status; null: an empty body; a string: another content type. */
  readonly responses: Readonly<Record<number, Schema | string | null>>;
  readonly errors: readonly ErrorCode[];
  readonly handle: (call: Call<never, never, never>) => Promise<Answer> | Answer;
}

type Values<Entries extends Fields> = v.InferOutput<v.ObjectSchema<Entries, undefined>>;
type Value<S> = S extends Schema ? v.InferOutput<S> : undefined;

interface RouteInput<P extends Fields, Q extends Fields, B extends Schema | undefined> {
  readonly id: string;
  readonly tag: Tag;
  readonly summary: string;
  readonly description: string;
  readonly style?: Style;
  readonly changes?: boolean;
  readonly access?: Need;
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  readonly bodyOptional?: boolean;
  readonly bodyBytesMax?: number;
  readonly bodyPartsMax?: number;
  readonly bodyExact?: boolean;
  readonly headers?: Fields;
  readonly responses: Route["responses"];
  readonly errors?: readonly ErrorCode[];
  readonly handle: (call: Call<Values<P>, Values<Q>, Value<B>>) => Promise<Answer> | Answer;
}

/** `at` is like "GET /v1/executions/{id}". The types of the schemas reach the handler. */
export function route<
  P extends Fields = Record<never, never>,
  Q extends Fields = Record<never, never>,
  B extends Schema | undefined = undefined,
>(at: `${Method} /${string}`, input: RouteInput<P, Q, B>): Route {
  const space = at.indexOf(" ");
  const { body, bodyBytesMax, bodyPartsMax, ...rest } = input;
  const changes = input.changes ?? !at.startsWith("GET");
  return {
    style: "v1",
    bodyOptional: false,
    bodyExact: false,
    errors: [],
    access: changes ? "admin" : "read",
    ...rest,
    changes,
    params: input.params ?? {},
    query: input.query ?? {},
    headers: input.headers ?? {},
    ...defined({ body, bodyBytesMax, bodyPartsMax }),
    method: at.slice(0, space) as Method,
    path: at.slice(space + 1),
    handle: input.handle as Route["handle"],
  };
}
