/** Whether SQLite failed for want of room: on the disk, or below the bound of the file. */
import { SQLiteError } from "bun:sqlite";

export function isFull(error: unknown): boolean {
  if (!(error instanceof SQLiteError)) return false;
  // The second: of the index of the log, which lies on the same disk.
  return error.code?.startsWith("SQLITE_FULL") === true || error.code === "SQLITE_IOERR_SHMSIZE";
}
