/** What the store reports where SQLite or the disk has refused something. */
import { SQLiteError } from "bun:sqlite";
import { StoreFault } from "../store.ts";
import { isNoSpace } from "./full.ts";

/** By another process. */
export function isLocked(error: unknown): boolean {
  return error instanceof SQLiteError && error.code === "SQLITE_BUSY";
}

type Reason = "exhausted" | "unavailable";

/** Errors that are not SQLite's are mistakes of ours, and pass as they are. */
export function notApplied(error: unknown, reason: Reason): unknown {
  if (!(error instanceof SQLiteError)) return error;
  const options = { reason, cause: error };
  return new StoreFault("not_applied", `SQLite refused: ${error.message}.`, options);
}

/**
 * After a failed sync the frames of the transaction may be in the log, and a crash may bring them
 * to life; after any other failure of COMMIT they are not, nor where a write of them was refused.
 */
export function commitFault(error: unknown, reason: Reason): StoreFault {
  const code = error instanceof SQLiteError ? (error.code ?? "") : "";
  const isRefused = code === "SQLITE_IOERR_WRITE" && reason === "exhausted";
  const message = error instanceof Error ? error.message : String(error);
  return new StoreFault(
    code.startsWith("SQLITE_IOERR") && !isRefused ? "unknown" : "not_applied",
    `SQLite could not commit: ${message}.`,
    { reason, cause: error },
  );
}

/** Written but perhaps not on disk; and a disk that has failed once may have forgotten more. */
export function syncFault(cause: Error): StoreFault {
  const reason = isNoSpace(cause) ? "exhausted" : "unavailable";
  const message = `SQLite's log could not be synced: ${cause.message}.`;
  return new StoreFault("unknown", message, { reason, cause });
}

export function syncRefusal(cause: Error): StoreFault {
  const problem = `The disk did not keep the log (${cause.message})`;
  return isNoSpace(cause)
    ? new StoreFault("not_applied", `${problem}; make room on it.`, { reason: "exhausted", cause })
    : new StoreFault("not_applied", `${problem}; start the server anew.`, { cause });
}
