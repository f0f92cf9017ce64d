/**
 * Makes the fixtures of a release: a SQLite file and a snapshot of Redis that its server left behind
 * when it was killed, and what was done with it. `bun test/upgrade/make-fixtures.ts` makes those of
 * the newest release; add a release to versions.ts first. Existing fixtures are never made anew:
 * they are what that release really wrote.
 */
import { Database } from "bun:sqlite";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startProcess } from "../support/process.ts";
import { startRedis } from "../support/redis.ts";
import { type Facts, Site } from "./support/site.ts";
import { states } from "./support/states.ts";
import { checkOut, fixtureFolder, releaseMissing, releases } from "./support/versions.ts";

const release = releases.at(-1)!;
const target = fixtureFolder(release);
if (existsSync(target)) throw new Error(`${target} exists: it stays as that release wrote it`);
const missing = releaseMissing(release);
if (missing !== undefined) throw new Error(missing);
const checkout = checkOut(release);
const place = mkdtempSync(join(tmpdir(), "orchy-fixture-"));

/** Lets the release's server do everything in this store, then kills it. */
async function work(store: string): Promise<string> {
  const main = join(checkout, "src/main.ts");
  const create = ["keys", "create", "--name", "fixture", "--scopes", "admin", "--store", store];
  const made = Bun.spawnSync([process.execPath, main, ...create], { stderr: "inherit" });
  const key = made.stdout.toString().trim();
  const server = await startProcess(store, {
    folder: checkout,
    preload: [join(import.meta.dirname, "support/withhold.ts")],
    env: { ORCHY_FIXTURE_FOLDER: checkout },
  });
  try {
    const site = new Site(server.url, key);
    const facts: Record<string, Facts> = {};
    for (const [name, state] of Object.entries(states)) facts[name] = await state.prepare(site);
    return JSON.stringify({ key, states: facts });
  } finally {
    server.child.kill("SIGKILL");
    await server.child.exited;
  }
}

function keep(name: string, bytes: Uint8Array<ArrayBuffer>): void {
  writeFileSync(join(target, name), Bun.gzipSync(bytes));
}

async function makeSqlite(): Promise<void> {
  const path = join(place, "orchy.db");
  const facts = await work(`sqlite:${path}`);
  const database = new Database(path);
  database.run("PRAGMA wal_checkpoint(TRUNCATE)");
  database.close();
  keep("sqlite.db.gz", readFileSync(path));
  keep("sqlite.json.gz", Buffer.from(facts));
}

async function makeRedis(): Promise<void> {
  const redis = await startRedis({}, { folder: place });
  try {
    const facts = await work(`redis://127.0.0.1:${redis.port}`);
    await redis.client.save();
    keep("redis.rdb.gz", readFileSync(join(place, "dump.rdb")));
    keep("redis.json.gz", Buffer.from(facts));
  } finally {
    await redis.stop();
  }
}

try {
  mkdirSync(target, { recursive: true });
  await makeSqlite();
  await makeRedis();
} catch (error) {
  rmSync(target, { recursive: true, force: true });
  throw error;
} finally {
  rmSync(checkout, { recursive: true, force: true });
  rmSync(place, { recursive: true, force: true });
}
