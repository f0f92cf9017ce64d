/**
 * `npm run backup -- data/orchy.db backup.db`: a consistent copy of a SQLite store, taken while a
 * server works on it or not. The lock of a server does not keep readers out. It has its name only
 * once it is whole and on disk: what a kill leaves is a file `<name>.part`, which the next one replaces.
 */
import { Database } from "bun:sqlite";
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
} from "node:fs";
import { dirname } from "node:path";
import { makePrivateFile } from "../src/base/files.ts";
import { copyInSteps } from "../src/store/sqlite/backup.ts";

/** A log that is started anew faster than it is followed: after so many tries one transaction does it. */
const triesMax = 5;
/** How long it waits where SQLite itself must keep it out for a moment. */
const busyMs = 10_000;

function fail(sentence: string): never {
  console.error(sentence);
  process.exit(1);
}

/** SQLite does not sync what it copies to. */
function sync(path: string, flags: "r" | "r+" = "r+"): void {
  const file = openSync(path, flags);
  fsyncSync(file);
  closeSync(file);
}

function copyAtOnce(from: string, to: string): void {
  const database = new Database(from, { readwrite: true });
  try {
    database.run(`PRAGMA busy_timeout = ${busyMs}`);
    database.run("VACUUM INTO ?", [to]);
  } finally {
    database.close();
  }
  sync(to);
}

async function copy(from: string, to: string): Promise<void> {
  for (let tries = 0; tries < triesMax; tries++) {
    makePrivateFile(to);
    if (await copyInSteps(from, to)) return;
    rmSync(to, { force: true });
  }
  makePrivateFile(to);
  copyAtOnce(from, to);
}

/** With what SQLite may have left beside it. */
function remove(path: string): void {
  for (const file of [path, `${path}-journal`]) rmSync(file, { force: true });
}

/** Gives the whole copy its name, also after a crash of the machine. */
function publish(part: string, to: string): void {
  renameSync(part, to);
  // Windows has no such sync, and needs none.
  if (process.platform !== "win32") sync(dirname(to), "r");
}

const [from, to, ...more] = process.argv.slice(2);
if (from === undefined || to === undefined || more.length > 0) {
  fail("Usage: npm run backup -- <file of the store> <new file>");
}
if (!existsSync(from)) fail(`There is no file ${from}.`);
// A log or journal of another file would be taken for one of the copy.
for (const file of [to, `${to}-wal`, `${to}-journal`]) {
  if (existsSync(file)) fail(`${file} exists already; a backup is made to a new file.`);
}
const part = `${to}.part`;
try {
  remove(part);
  await copy(realpathSync(from), part);
  publish(part, to);
} catch (error) {
  remove(part);
  fail(`The backup of ${from} failed: ${error instanceof Error ? error.message : error}.`);
}
console.log(`${from} is copied to ${to}. To use it: --store sqlite:${to}`);
