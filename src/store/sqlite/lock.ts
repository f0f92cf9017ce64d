/**
 * One process per file, by whatever name it is opened: an exclusive transaction on a file beside it,
 * and a lock of the operating system on the file itself, as another name of it (a hard link) has
 * another file beside it. Both end however the process ends. SQLite's own lock on the database
 * would keep its checkpointer out.
 */
import { Database, SQLiteError } from "bun:sqlite";
import { closeSync, openSync, readdirSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { makePrivateFile } from "../../base/files.ts";
import { findFunctions } from "./c-library.ts";
import { fileFault } from "./file-fault.ts";

export interface FileLock {
  close(): void;
}

/** The file must exist. */
export function lockFile(path: string): FileLock {
  const beside = lockBeside(path);
  try {
    const file = lockItself(path);
    return {
      close() {
        beside.close(true);
        if (file !== undefined) closeSync(file);
      },
    };
  } catch (error) {
    beside.close();
    throw error;
  }
}

function inUse(path: string): Error {
  return new Error(
    `${path} is in use by another Orchy server; one process at a time can open a SQLite store.`,
  );
}

function lockBeside(path: string): Database {
  const beside = `${path}.lock`;
  let lock: Database | undefined;
  try {
    makePrivateFile(beside);
    lock = new Database(beside, { create: true, readwrite: true });
    lock.run("PRAGMA busy_timeout = 0");
    // A journal would take room on the disk, which may be full.
    lock.run("PRAGMA journal_mode = MEMORY");
    lock.run("BEGIN EXCLUSIVE");
    return lock;
  } catch (error) {
    lock?.close();
    if (error instanceof SQLiteError && error.code === "SQLITE_BUSY") throw inUse(path);
    throw fileFault(beside, error);
  }
}

const lockExclusive = 2;
const orRefuse = 4;

/** The locked file, open; undefined: its file system has no such locks. */
function lockItself(path: string): number | undefined {
  refuseLogOfOtherName(path);
  const found = findFunctions({ flock: { args: ["i32", "i32"], returns: "i32" } });
  if (found === undefined) return undefined;
  const { flock } = found;
  const file = openSync(path, "r");
  if (flock(file, lockExclusive | orRefuse) === 0) return file;
  closeSync(file);
  // Nothing else locks the file beside it: this lock fails only where no lock can be had.
  const probe = openSync(`${path}.lock`, "r");
  const canLock = flock(probe, lockExclusive | orRefuse) === 0;
  closeSync(probe);
  if (canLock) throw inUse(path);
  return undefined;
}

/** The log is found by the name of the file: opened by another name, it would be ignored. */
function refuseLogOfOtherName(path: string): void {
  const { ino, nlink } = statSync(path);
  if (nlink < 2) return;
  for (const name of readdirSync(dirname(path))) {
    const other = join(dirname(path), name);
    if (name === basename(path) || statSync(other, { throwIfNoEntry: false })?.ino !== ino)
      continue;
    if ((statSync(`${other}-wal`, { throwIfNoEntry: false })?.size ?? 0) === 0) continue;
    throw new Error(
      `${path} is another name of ${other}, which has a write-ahead log: open it by that name, ` +
        "as long as it is in use or was not stopped in order.",
    );
  }
}
