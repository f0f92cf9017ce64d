/**
 * What released servers left in their stores when they were killed is opened by this version and
 * brought to its end: every kind of work that was under way, and everything that is kept.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { currentFormat } from "../../src/model/format.ts";
import { Worker } from "../../src/worker/index.ts";
import { startProcess } from "../support/process.ts";
import { redisMissing, startRedis } from "../support/redis.ts";
import { type Facts, Site } from "./support/site.ts";
import { states } from "./support/states.ts";
import { fixtureFolder, type Release, releases } from "./support/versions.ts";

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A copy of a fixture's file in a separate folder. */
function unpack(release: Release, name: string, as: string): string {
  const folder = mkdtempSync(join(tmpdir(), "orchy-upgrade-"));
  folders.push(folder);
  const bytes = Bun.gunzipSync(readFileSync(join(fixtureFolder(release), `${name}.gz`)));
  writeFileSync(join(folder, as), bytes);
  return folder;
}

function factsOf(release: Release, name: string): Facts {
  const bytes = readFileSync(join(fixtureFolder(release), `${name}.json.gz`));
  return JSON.parse(Buffer.from(Bun.gunzipSync(bytes)).toString());
}

/** Runs everything to its end, and answers with which states it did not go well. */
async function finish(store: string, { key, states: facts }: Facts, flags: string[] = []) {
  const server = await startProcess(store, {}, flags);
  const site = new Site(server.url, key);
  const quiet = { debug() {}, info() {}, warn() {}, error() {} };
  const worker = new Worker({ server: server.url, key, logger: quiet });
  // Those of the fixture, which may be older than the table of states.
  const names: string[] = Object.keys(facts).filter((name) => states[name] !== undefined);
  for (const name of await stepsOf(site)) worker.action(name, async (parameters) => parameters);
  await worker.start();
  try {
    const failures: unknown[] = [];
    await Promise.all(
      names.map((name) =>
        states[name]!.finish(site, facts[name]).catch((error) =>
          failures.push(`${name}: ${error}`),
        ),
      ),
    );
    expect(failures).toEqual([]);
    expect(names.length).toBeGreaterThanOrEqual(20);
    const metrics = await fetch(`${server.url}/metrics`, {
      headers: { authorization: `Bearer ${key}` },
    });
    expect(await metrics.text()).toContain("\norchy_repairs_total 0\n");
  } finally {
    await worker.stop();
    server.child.kill("SIGTERM");
    await server.child.exited;
  }
}

/** Names of the actions that the fixture's definitions leave to workers. */
async function stepsOf(site: Site): Promise<Set<string>> {
  const { items } = await site.ask("GET", "/v1/workflows?limit=500");
  const reading = items.map(({ name }: Facts) => site.ask("GET", `/v1/workflows/${name}`));
  const names = JSON.stringify(await Promise.all(reading)).match(/"[a-z-]+-step"/g) ?? [];
  return new Set(names.map((name) => JSON.parse(name)));
}

describe.each([...releases])("what commit $commit has left", (release) => {
  test("in a SQLite file goes on to its end", async () => {
    const folder = unpack(release, "sqlite.db", "orchy.db");
    await finish(`sqlite:${folder}/orchy.db`, factsOf(release, "sqlite"));
  }, 120_000);

  for (const [title, delaySeconds] of [
    ["while its format is kept", 600],
    ["in this version's format", 0],
  ] as const) {
    const name = `in Redis goes on to its end, ${title}`;
    if (redisMissing !== undefined) {
      test.skip(`${name} (${redisMissing})`, () => {});
      continue;
    }
    test(name, async () => {
      const folder = unpack(release, "redis.rdb", "dump.rdb");
      const redis = await startRedis({}, { folder });
      try {
        const flags = ["--format-delay", `${delaySeconds}`];
        const store = `redis://127.0.0.1:${redis.port}`;
        await finish(store, factsOf(release, "redis"), flags);
        const format = await redis.client.hget("orchy:{meta}:settings", "layout");
        expect(Number(format)).toBe(delaySeconds === 0 ? currentFormat : release.format);
      } finally {
        await redis.stop();
      }
    }, 120_000);
  }
});
