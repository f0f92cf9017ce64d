/** Whether SQLite failed for want of room: on the disk, or below the bound of the file. */
import { SQLiteError } from "bun:sqlite";
import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { privateFile } from "../../base/files.ts";

export function isFull(error: unknown): boolean {
  if (!(error instanceof SQLiteError)) return false;
  // The second: of the index of the log, which lies on the same disk.
  return error.code?.startsWith("SQLITE_FULL") === true || error.code === "SQLITE_IOERR_SHMSIZE";
}

/** Of a call of the system: the disk, or the quota, is used up. */
export function isNoSpace(error: unknown): boolean {
  return ["EDQUOT", "ENOSPC"].includes((error as NodeJS.ErrnoException).code ?? "");
}

const probeBytes = 4_096;

/**
 * Also where a quota is used up, which SQLite reports as it does a broken disk: whether a file can be
 * written beside the store distinguishes them.
 */
export function isOutOfSpace(error: unknown, probe: string): boolean {
  if (isFull(error)) return true;
  if (!(error instanceof SQLiteError) || error.code !== "SQLITE_IOERR_WRITE") return false;
  try {
    const file = openSync(probe, "w", privateFile);
    try {
      return writeSync(file, Buffer.alloc(probeBytes), 0, probeBytes, 0) < probeBytes;
    } finally {
      closeSync(file);
    }
  } catch (fault) {
    return isNoSpace(fault);
  } finally {
    rmSync(probe, { force: true });
  }
}
