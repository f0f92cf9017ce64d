/** Why a file of the store cannot be opened, in one sentence that names it. */
import { statSync } from "node:fs";

const reasons: Readonly<Record<string, string>> = {
  SQLITE_NOTADB: "it is not a SQLite database",
  SQLITE_CORRUPT: "it is damaged; restore a backup",
  SQLITE_READONLY: "it cannot be written to",
  SQLITE_FULL: "its disk is full",
  ENOENT: "its folder cannot be made, or takes no files",
  ENOTDIR: "a part of its path is a file, not a folder",
  EISDIR: "it is a folder; name a file in it",
  EACCES: "the user of this server may not do that",
  EPERM: "the user of this server may not do that",
  EROFS: "its disk is read-only",
  ENOSPC: "its disk is full",
};

/** An error of neither the file system nor SQLite is a sentence already. */
export function fileFault(path: string, error: unknown): unknown {
  const { code, message } = error as { readonly code?: unknown; readonly message: string };
  if (typeof code !== "string") return error;
  const reason = isFolder(path) ? reasons.EISDIR : reasonOf(code);
  return new Error(`The file ${path} of the store cannot be opened: ${reason ?? message}.`, {
    cause: error,
  });
}

/** SQLite has longer codes for particular cases: SQLITE_READONLY_DIRECTORY. */
function reasonOf(code: string): string | undefined {
  return reasons[code] ?? reasons[/^SQLITE_[A-Z]+/.exec(code)?.[0] ?? ""];
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
