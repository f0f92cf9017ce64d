/** Files and folders that Orchy makes: only its own user reads or writes them. */
import { closeSync, mkdirSync, openSync, statSync } from "node:fs";

export const privateFile = 0o600;
const privateFolder = 0o700;

/** Makes the folder, and those above it, where they do not exist. */
export function makePrivateFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: privateFolder });
}

/** Makes an empty file, or leaves the one that is there. */
export function makePrivateFile(path: string): void {
  closeSync(openSync(path, "a", privateFile));
}

/** Whether others on this machine may read or write it. */
export function isOpenToOthers(path: string): boolean {
  const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0;
  return process.platform !== "win32" && (mode & 0o077) !== 0;
}
