/**
 * `npm run backup -- data/orchy.db backup.db`: a consistent copy of a SQLite store, taken while a
 * server works on it or not. The lock of a server does not keep readers out.
 */
import { Database } from "bun:sqlite";
import { closeSync, existsSync, fsyncSync, openSync, realpathSync, rmSync } from "node:fs";
import { makePrivateFile } from "../src/files.ts";
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
function sync(path: string): void {
  const file = openSync(path, "r+");
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

const [from, to, ...more] = process.argv.slice(2);
if (from === undefined || to === undefined || more.length > 0) {
  fail("Usage: npm run backup -- <file of the store> <new file>");
}
if (!existsSync(from)) fail(`There is no file ${from}.`);
if (existsSync(to)) fail(`${to} exists already; a backup is made to a new file.`);
try {
  await copy(realpathSync(from), to);
} catch (error) {
  rmSync(to, { force: true });
  fail(`The backup of ${from} failed: ${error instanceof Error ? error.message : error}.`);
}
console.log(`${from} is copied to ${to}. To use it: --store sqlite:${to}`);
