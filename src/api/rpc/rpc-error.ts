/**
 * Turns whatever was thrown into the error that an RPC caller gets: one table for every protocol.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { codeFromString } from "@connectrpc/connect/protocol-connect";
import { errorKinds, OrchyError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import type { Logger } from "../../telemetry/log.ts";

export interface RpcError {
  readonly status: number;
  /** Connect's name of the code. */
  readonly code: string;
  readonly message: string;
}

export const deadlineExceeded: RpcError = {
  status: 504,
  code: "deadline_exceeded",
  message: "The caller's deadline has passed.",
};

export const canceled: RpcError = {
  status: 499,
  code: "canceled",
  message: "The caller has disconnected.",
};

/**
 * Problems are in the message, as not every protocol's callers can read details; bounded, as
 * gRPC carries it in a header.
 */
function sentence(error: OrchyError): string {
  let text = error.message.slice(0, limits.errorMessageCharsMax);
  for (const [index, { pointer, message }] of error.details.entries()) {
    const line = `\n${pointer || "/"}: ${message}`;
    if (text.length + line.length > limits.errorMessageCharsMax) {
      return `${text}\nand ${error.details.length - index} more`;
    }
    text += line;
  }
  return text;
}

/** Unexpected faults are logged; the caller gets INTERNAL without details. */
export function rpcError(thrown: unknown, path: string, log: Logger | undefined): RpcError {
  if (thrown instanceof OrchyError) {
    const kind = errorKinds[thrown.code];
    return { status: kind.status, code: kind.connect, message: sentence(thrown) };
  }
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  log?.error("an RPC failed unexpectedly", { path, error });
  return { status: 500, code: "internal", message: errorKinds.INTERNAL.sentence };
}

export function toConnectError(error: RpcError): ConnectError {
  return new ConnectError(error.message, codeFromString(error.code) ?? Code.Unknown);
}
