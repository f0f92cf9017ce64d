/**
 * One process per file: an exclusive transaction on a file beside it, which the operating system
 * lets go of however the process ends. A lock on the database itself would keep its own
 * checkpointer out.
 */
import { Database, SQLiteError } from "bun:sqlite";

export function lockFile(path: string): Database {
  const lock = new Database(`${path}.lock`, { create: true, readwrite: true });
  try {
    lock.run("PRAGMA busy_timeout = 0");
    // A journal would take room on the disk, which may be full.
    lock.run("PRAGMA journal_mode = MEMORY");
    lock.run("BEGIN EXCLUSIVE");
    return lock;
  } catch (error) {
    lock.close();
    if (!(error instanceof SQLiteError) || error.code !== "SQLITE_BUSY") throw error;
    throw new Error(
      `${path} is in use by another Orchy server; one process at a time can open a SQLite store.`,
    );
  }
}
