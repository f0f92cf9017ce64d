/**
 * The closed list of error codes a caller can meet, one sentence each, with its HTTP status and its
 * Connect code: the one table that every edge uses.
 */

import { inTime } from "./amount.ts";
import { limits } from "./limits.ts";

/** One code of a refused call: its HTTP status, its Connect code, and a sentence for people. */
interface ErrorKind {
  readonly status: number;
  /** Name of the Connect / gRPC code, in Connect's snake case. */
  readonly connect: string;
  readonly sentence: string;
}

/** Every code with which a call may be refused, in the form `error.code` of an answer. */
export const errorKinds = {
  INVALID_ARGUMENT: {
    status: 400,
    connect: "invalid_argument",
    sentence: "The request is invalid.",
  },
  UNAUTHENTICATED: { status: 401, connect: "unauthenticated", sentence: "Credentials are needed." },
  PERMISSION_DENIED: {
    status: 403,
    connect: "permission_denied",
    sentence: "The caller is not allowed to do this.",
  },
  NOT_FOUND: {
    status: 404,
    connect: "not_found",
    sentence: "The requested object does not exist.",
  },
  METHOD_NOT_ALLOWED: { status: 405, connect: "unimplemented", sentence: "Wrong HTTP method." },
  REQUEST_TIMEOUT: {
    status: 408,
    connect: "deadline_exceeded",
    sentence: "The request did not arrive in time.",
  },
  CONFLICT: {
    status: 409,
    connect: "already_exists",
    sentence: "It exists already with different content.",
  },
  INVALID_STATE: {
    status: 409,
    connect: "failed_precondition",
    sentence: "The current status does not allow the operation.",
  },
  DELETED: { status: 410, connect: "not_found", sentence: "It has been deleted." },
  TOO_LARGE: { status: 413, connect: "resource_exhausted", sentence: "A size limit is exceeded." },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    connect: "invalid_argument",
    sentence: "The content type or encoding is not supported.",
  },
  DEFINITION_REFUSED: {
    status: 422,
    connect: "invalid_argument",
    sentence: "The workflow or action definition is invalid; all problems are listed.",
  },
  TOO_MANY: { status: 429, connect: "resource_exhausted", sentence: "A count limit is exceeded." },
  MISDIRECTED: {
    status: 421,
    connect: "permission_denied",
    sentence: "The request names a host that is not this server.",
  },
  INTERNAL: { status: 500, connect: "internal", sentence: "A fault in Orchy." },
  NOT_IMPLEMENTED: {
    status: 501,
    connect: "unimplemented",
    sentence: "This is not implemented yet.",
  },
  UNAVAILABLE: {
    status: 503,
    connect: "unavailable",
    sentence: "The server or the store is unavailable; nothing was changed; try again.",
  },
  RESOURCE_EXHAUSTED: {
    status: 503,
    connect: "resource_exhausted",
    sentence: "The store is full; nothing was changed; try again later.",
  },
  UNKNOWN_OUTCOME: {
    status: 503,
    connect: "unavailable",
    sentence: "The outcome is unknown; repeat the same call, which is safe.",
  },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorKinds;

/**
 * The codes with which Orchy itself fails an action or an execution; workers and scripts choose others.
 * `retried`: as the rules of the action say, for the failures of one attempt.
 */
export const failureKinds = {
  TIMEOUT: { retried: true, sentence: "An attempt took longer than its `timeoutSeconds`." },
  HEARTBEAT_LOST: {
    retried: true,
    sentence:
      "The worker sent no heartbeat or result in time: it was killed, or is cut off. The time is " +
      "`heartbeatSeconds`, or the `leaseSeconds` of its poll.",
  },
  WORKER_ERROR: { retried: true, sentence: "A worker reported a failure without a code." },
  RESULT_REFUSED: {
    retried: false,
    sentence:
      "The server refused the result that the TypeScript worker sent: the message says why.",
  },
  QUEUE_TIMEOUT: {
    retried: false,
    sentence: "No worker took the task within `queueTimeoutSeconds`.",
  },
  TOTAL_TIMEOUT: {
    retried: false,
    sentence: "All attempts together took longer than `totalTimeoutSeconds`.",
  },
  STRUCT_TOO_DEEP: {
    retried: false,
    sentence:
      "The parameters nest too deeply for `google.protobuf.Struct`, and for " +
      `${inTime(limits.uncarriedMs)} no worker that takes JSON polled, but others did.`,
  },
  STRUCT_TOO_LARGE: {
    retried: false,
    sentence:
      "The parameters are too large as `google.protobuf.Struct`, and for " +
      `${inTime(limits.uncarriedMs)} no worker that takes JSON polled, but others did.`,
  },
  SCRIPT_ERROR: {
    retried: false,
    sentence: "A script threw an error, or its output cannot be written as JSON.",
  },
  SCRIPT_LIMIT: {
    retried: false,
    sentence: "A script exceeded its CPU time, memory, stack or output size.",
  },
  ITEMS_INVALID: {
    retried: false,
    sentence: "`items` of a map finds no array.",
  },
  ITEMS_FAILED: {
    retried: false,
    sentence:
      "More items of a map failed than it tolerates; `details` has their number and the first.",
  },
  HTTP_UNREACHABLE: {
    retried: true,
    sentence:
      "An `http` action got no response. A status it does not expect is `HTTP_404` and the like.",
  },
  HTTP_NOT_ALLOWED: {
    retried: false,
    sentence: "An `http` action names a host, or an address, that `--http-allow` does not list.",
  },
  HTTP_INVALID_REQUEST: {
    retried: false,
    sentence: "The resolved request of an `http` action cannot be sent.",
  },
  HTTP_INVALID_RESPONSE: {
    retried: false,
    sentence: "A response to an `http` action is not what its content type says.",
  },
  HTTP_RESPONSE_TOO_LARGE: {
    retried: false,
    sentence: "A response to an `http` action is larger than `responseBytesMax`.",
  },
  NO_MATCHING_ROUTE: {
    retried: false,
    sentence: "The value of a `switch`, or the `$.route` of a script, names no route in `next`.",
  },
  JOIN_NOT_MET: {
    retried: false,
    sentence: "A join of a number of edges can no longer be met, and one of its edges is taken.",
  },
  EVENT_INVALID: {
    retried: false,
    sentence: "A template for the name of an event does not become the name of one.",
  },
  REFERENCE_NOT_FOUND: {
    retried: false,
    sentence: "A reference of an action with `strict` finds no value.",
  },
  INVALID_VALUE: {
    retried: false,
    sentence: "A resolved value has the wrong form, such as the time of a `delay`.",
  },
  TOO_LARGE: {
    retried: false,
    sentence: "Parameters, an output or a result exceed a limit, or references read too much data.",
  },
  NOT_IMPLEMENTED: {
    retried: false,
    sentence: "This server does not implement the kind of action.",
  },
  SIGNAL_REFUSED: {
    retried: false,
    sentence: "No open execution took what a `signal` action sent, or it named too many of them.",
  },
  LOOP_LIMIT: {
    retried: false,
    sentence: "The condition of a `loop` still holds after `maxIterations` rounds.",
  },
  CHILD_FAILED: {
    retried: false,
    sentence:
      "A child did not complete, or could not be started: `details` names it, with its status and error.",
  },
  NOT_STARTED: {
    retried: false,
    sentence: "Why a child could not be started; in the `details` of `CHILD_FAILED` only.",
  },
  TERMINATED: {
    retried: false,
    sentence: "A `terminate` action without a `code` ended the execution as FAILED.",
  },
  EXECUTION_TIMEOUT: {
    retried: false,
    sentence: "The execution took longer than its `timeoutSeconds`; its status is TIMED_OUT.",
  },
} as const satisfies Record<string, { readonly retried: boolean; readonly sentence: string }>;

/** One thing that is wrong: where (a JSON pointer into what was sent), and what would be right. */
export interface Problem {
  readonly pointer: string;
  readonly message: string;
}

/** An expected refusal that travels to the caller. Anything else thrown is a fault (INTERNAL). */
export class OrchyError extends Error {
  override readonly name = "OrchyError";
  readonly code: ErrorCode;
  readonly details: readonly Problem[];
  /** Further members for the caller, e.g. the current status with INVALID_STATE. */
  readonly extra: Readonly<Record<string, unknown>>;

  constructor(
    code: ErrorCode,
    message: string,
    details: readonly Problem[] = [],
    extra: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
    this.code = code;
    this.details = details;
    this.extra = extra;
  }
}

/** For the end of a switch over a closed union: fails to compile when a case was forgotten. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
