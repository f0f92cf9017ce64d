/** What a handler throws, and the failure that is reported to the server for it. */
import { create, fromJson, type JsonValue } from "@bufbuild/protobuf";
import { type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import { limits } from "../base/limits.ts";
import { type Failure, FailureSchema } from "../gen/orchy/v1/worker_pb.ts";

/** The code of a failure where the handler threw an error without one. */
const defaultFailureCode = "WORKER_ERROR";

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

/**
 * Any error with a text `code`, JSON `details` or `retryable: false` says so in the failure. Never
 * throws: what a handler throws may throw again when it is read.
 */
export function failureOf(thrown: unknown): Failure {
  const code = read(thrown, "code");
  const failure = create(FailureSchema, {
    code: (typeof code === "string" && code !== "" ? code : defaultFailureCode).slice(
      0,
      limits.errorCodeCharsMax,
    ),
    message: messageOf(thrown).slice(0, limits.errorMessageCharsMax),
  });
  if (read(thrown, "retryable") === false) failure.retryable = false;
  const details = jsonValue(textOfJson(read(thrown, "details")), limits.errorDetailsBytesMax);
  if (details !== undefined) failure.details = details;
  return failure;
}

/** A member of anything; undefined where reading it throws. */
export function read(thrown: unknown, name: string): unknown {
  try {
    return (thrown as Record<string, unknown> | null | undefined)?.[name];
  } catch {
    return undefined;
  }
}

/** The message of anything that may be thrown. */
export function messageOf(thrown: unknown): string {
  const message = read(thrown, "message");
  if (typeof message === "string") return message;
  try {
    return String(thrown);
  } catch {
    return "A value was thrown that cannot be read as text.";
  }
}

/**
 * JSON text as a message; undefined for what is longer, or nested deeper, than a message carries.
 */
export function jsonValue(text: string | undefined, bytesMax: number): Value | undefined {
  if (text === undefined || Buffer.byteLength(text) > bytesMax) return undefined;
  try {
    return fromJson(ValueSchema, JSON.parse(text) as JsonValue);
  } catch {
    return undefined;
  }
}

/** Undefined for invalid JSON. */
export function textOfJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value) as string | undefined;
  } catch {
    return undefined;
  }
}
