/** What went wrong with a call, as the contract says it: not applied, or unknown. */
import { StoreFault } from "../store.ts";

/** As the client throws it: of the server (with a SQLSTATE), or of the connection. */
interface PostgresError extends Error {
  readonly code?: string;
  /** SQLSTATE. */
  readonly errno?: string;
}

/** Transactions that another one was in the way of: they may succeed at once when repeated. */
const disturbed = new Set(["40001", "40P01", "55P03"]);

/** The server ends, or says that it does not know: 57P01, 57P02, connection exceptions. */
const unknown = /^(?:08|40003|57P01|57P02)/;

/** Refusals of whole connections, or of every write: whatever is sent next fails as well. */
const lost = /^(?:08|28|3D|53|57P|25006)/;

/** The statement was never sent. */
const unsent = new Set(["ERR_POSTGRES_CONNECTION_REFUSED", "ERR_POSTGRES_CONNECTION_TIMEOUT"]);

export function stateOf(error: unknown): string | undefined {
  const { errno } = error as PostgresError;
  return typeof errno === "string" && errno.length === 5 ? errno : undefined;
}

export function isDisturbed(error: unknown): boolean {
  return disturbed.has(stateOf(error) ?? "");
}

/** Whether it may be due to one of the entries of a call, and the others succeed without it. */
export function isOfOneEntry(error: unknown): boolean {
  const state = stateOf(error);
  return state !== undefined && !lost.test(state) && !unknown.test(state);
}

export function toFault(error: unknown): StoreFault {
  if (error instanceof StoreFault) return error;
  const { code = "", message } = error as PostgresError;
  const state = stateOf(error);
  // A statement that the server refuses is rolled back.
  const isUnknown = state === undefined ? !unsent.has(code) : unknown.test(state);
  const reason = state === "53100" ? "exhausted" : "unavailable";
  const text = state === undefined ? message : `${message} (${state})`;
  const outcome = isUnknown ? "unknown" : "not_applied";
  return new StoreFault(outcome, `PostgreSQL: ${text}`, { reason, cause: error });
}
