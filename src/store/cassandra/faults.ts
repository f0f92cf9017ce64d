/** What went wrong with a call, as the contract says it: not applied, or unknown. */
import { StoreFault } from "../store.ts";

/** As the client throws it: of a node (with a code of the protocol), or of the connection. */
export interface CassandraError extends Error {
  readonly code?: number | string;
  /** Of a call that no node could be asked; by address. */
  readonly innerErrors?: Readonly<Record<string, Error>>;
}

/** Codes of the protocol. */
export const codes = {
  badCredentials: 0x0100,
  unavailable: 0x1000,
  overloaded: 0x1001,
  bootstrapping: 0x1002,
  readFailure: 0x1300,
  syntax: 0x2000,
  unauthorized: 0x2100,
  unprepared: 0x2500,
} as const;

/** A node that has too many of them open stops in the middle of a write. */
const inTheMiddle = /in flight hints/;

/** Nothing was written: a node found so before it began, or no node was asked. */
function isRefused({ name, code, message }: CassandraError): boolean {
  if (name === "NoHostAvailableError" || name === "BusyConnectionError") return true;
  if (typeof code !== "number") return false;
  if (code === codes.overloaded) return !inTheMiddle.test(message);
  if (code === codes.unavailable || code === codes.bootstrapping) return true;
  return code >= codes.syntax && code <= codes.unprepared;
}

/** Guardrails of Cassandra, and the machine's disk. */
const full = /disk usage|no space left/i;

/** What is wrong, without the list of hosts that the client keeps beside it. */
export function reasonOf(error: CassandraError): string {
  const [inner] = Object.values(error.innerErrors ?? {});
  return inner?.message ?? error.message;
}

export function toFault(error: unknown, call: "read" | "write"): StoreFault {
  if (error instanceof StoreFault) return error;
  const known = error as CassandraError;
  const outcome = call === "read" || isRefused(known) ? "not_applied" : "unknown";
  const reason = full.test(known.message) ? "exhausted" : "unavailable";
  return new StoreFault(outcome, `Cassandra: ${reasonOf(known)}`, { reason, cause: error });
}
