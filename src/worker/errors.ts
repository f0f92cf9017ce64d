/** What a handler throws, and the failure that the server is told because of it. */
import { create, fromJson, type JsonValue } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { type Failure, FailureSchema } from "../gen/orchy/v1/worker_pb.ts";
import { limits } from "../limits.ts";

export const defaultFailureCode = "WORKER_ERROR";

/** Thrown by a handler: the attempt fails, and no retry follows. */
export class NonRetryableError extends Error {
  override readonly name = "NonRetryableError";
  /** `onError` of a workflow's action routes by it. */
  readonly code: string;
  /** Any JSON, shown with the failure. */
  readonly details: unknown;
  readonly retryable = false;

  constructor(code: string, message: string, details?: unknown) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

/** Why `context.signal` was aborted. */
export type StopReason = "cancelled" | "stale" | "deadline" | "stopping";

const sentences: Record<StopReason, string> = {
  cancelled: "The action was cancelled.",
  stale: "The lease is no longer held: the result would not be taken.",
  deadline: "The time of this attempt is up.",
  stopping: "The worker is stopping; the task goes back to the queue.",
};

/** The `reason` of `context.signal`. */
export class TaskStopped extends Error {
  override readonly name = "TaskStopped";
  readonly reason: StopReason;

  constructor(reason: StopReason) {
    super(sentences[reason]);
    this.reason = reason;
  }
}

/** Any error with a text `code`, JSON `details` or `retryable: false` says so in the failure. */
export function failureOf(thrown: unknown): Failure {
  const fields = (typeof thrown === "object" && thrown !== null ? thrown : {}) as {
    code?: unknown;
    message?: unknown;
    details?: unknown;
    retryable?: unknown;
  };
  const code = typeof fields.code === "string" && fields.code !== "" ? fields.code : undefined;
  const message = typeof fields.message === "string" ? fields.message : String(thrown);
  const failure = create(FailureSchema, {
    code: (code ?? defaultFailureCode).slice(0, limits.errorCodeCharsMax),
    message: message.slice(0, limits.errorMessageCharsMax),
  });
  if (fields.retryable === false) failure.retryable = false;
  const details = jsonOf(fields.details);
  if (details !== undefined) failure.details = fromJson(ValueSchema, details);
  return failure;
}

/** Undefined for what is no JSON, or more than a failure may carry. */
function jsonOf(value: unknown): JsonValue | undefined {
  if (value === undefined) return undefined;
  try {
    const text = JSON.stringify(value) as string | undefined;
    if (text === undefined || Buffer.byteLength(text) > limits.errorDetailsBytesMax)
      return undefined;
    return JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
}
