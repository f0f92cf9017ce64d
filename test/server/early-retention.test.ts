/** A store full of finished executions makes room by itself, and only with what has finished. */
import { afterEach, describe, expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { limits } from "../../src/base/limits.ts";
import { earlyRemovalsAtOnce } from "../../src/runtime/loops/early-retention.ts";
import { openSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { temporaryFolder } from "../store/temporary.ts";
import { readMetrics, total } from "../support/metrics.ts";
import { call, saveWorkflow, startTestServer, type TestServer } from "../support/orchy.ts";
import { redisMissing, startRedis, until, usedMemory } from "../support/redis.ts";
import { complete, done, poll, single } from "./calls.ts";
import { hooked } from "./unsure-store.ts";

const days = 24 * 3600;

/** Ends at once; its input is kept for this many days. */
const quick = (name: string, retentionDays: number) => ({
  name,
  rootAction: "t",
  retentionSeconds: retentionDays * days,
  actions: [{ id: "t", type: "system", name: "transform", parameters: { ended: true } }],
});

/** A start, and its id; undefined: it was refused for want of room. */
async function start(server: TestServer, workflow: string): Promise<string | undefined> {
  const input = { text: "x".repeat(10_000) };
  const { status, body } = await call(server, "POST", "/v1/executions", { workflow, input });
  if (status === 202) return body.id;
  expect([status, body.error.code]).toEqual([503, "RESOURCE_EXHAUSTED"]);
  return undefined;
}

/** Starts of these workflows in turn until one is refused; their ids by workflow. */
async function fill(server: TestServer, workflows: readonly string[]) {
  const ids = new Map(workflows.map((name) => [name, [] as string[]]));
  for (let i = 0; ; i++) {
    const name = workflows[i % workflows.length] as string;
    const id = await start(server, name);
    if (id === undefined) return (name: string) => ids.get(name) as readonly string[];
    ids.get(name)?.push(id);
  }
}

const statusesOf = (server: TestServer, ids: readonly string[]) =>
  Promise.all(ids.map(async (id) => (await call(server, "GET", `/v1/executions/${id}`)).status));

const removedEarly = async (server: TestServer) =>
  total(await readMetrics(server), "orchy_executions_removed_early_total");

describe("a full SQLite store", () => {
  const folders = [temporaryFolder(), temporaryFolder()];
  const servers: TestServer[] = [];
  /** Time stands still until it jumps: on a slow machine, too, all that has ended is young. */
  let stoodAt: number | undefined = systemClock.now();
  /** Looks of early retention at executions after which the clock jumps, once it is set. */
  let looksUntilJump = Number.POSITIVE_INFINITY;
  const clock = {
    now: () => stoodAt ?? systemClock.now() + limits.earlyRetentionAgeMs,
    after: systemClock.after,
    soon: systemClock.soon,
  };

  afterEach(async () => {
    for (const server of servers.splice(0)) await server.remove();
    for (const folder of folders) folder.remove();
  });

  async function startSmall(folder: { path: string }, flags: string[], lines: string[] = []) {
    const path = `${folder.path}/orchy.db`;
    const sqlite = openSqliteStore({ path, namespace: "orchy", pagesMax: 2_000 });
    const store = hooked(sqlite, {
      load: (load, _, request) => {
        if (request.fields?.length === 0 && --looksUntilJump === 0) stoodAt = undefined;
        return load(request);
      },
    });
    const log = createLogger({ level: "warn", clock, write: (line) => lines.push(line) });
    const server = await startTestServer({ flags, parts: { store, clock, log } });
    servers.push(server);
    for (const one of [quick("short", 1), quick("long", 2), single("open")]) {
      await saveWorkflow(server, one);
    }
    return server;
  }

  test("has room again soon, those gone first whose retention would end first", async () => {
    const lines: string[] = [];
    const server = await startSmall(folders[0]!, [], lines);
    const kept = await startSmall(folders[1]!, ["--keep-retention"]);
    const [idsOf, keptOf] = await Promise.all(
      [server, kept].map((one) => fill(one, ["long", "short", "open"])),
    );
    const { message } = (await call(kept, "GET", "/health/ready")).body.checks.store;
    expect(message).toContain("With --keep-retention none is made");
    // What has just ended is still to be read.
    expect(await removedEarly(server)).toBe(0);
    // In the middle of a search, when it has passed over some that have just ended.
    looksUntilJump = earlyRemovalsAtOnce + 1;
    await until(async () => stoodAt === undefined);
    await until(async () => (await start(server, "long")) !== undefined);
    await until(async () => (await call(server, "GET", "/health/ready")).status === 200);

    // Room is made for somewhat more than the next start: it is counted when that is done.
    let short: readonly number[] = [];
    let removed = 0;
    await until(async () => {
      short = await statusesOf(server, idsOf!("short"));
      removed = await removedEarly(server);
      return removed === short.filter((status) => status === 410).length;
    });
    expect(removed).toBeGreaterThan(0);
    // So much is enough that the ones with the shorter retention made all the room.
    expect(short).toEqual(short.map((_, i) => (i < removed ? 410 : 200)));
    for (const name of ["long", "open"]) {
      expect(new Set(await statusesOf(server, idsOf!(name)))).toEqual(new Set([200]));
    }
    const tasks = await poll(server, { actions: ["open"], maxTasks: 1_000 });
    expect(new Set(tasks.map((task) => task.executionId))).toEqual(new Set(idsOf!("open")));
    const results = await complete(server, ...tasks.map((task) => done(task)));
    expect(new Set(results)).toEqual(new Set(["ACCEPTED"]));
    const told = lines.map((line) => JSON.parse(line)).filter((line) => "removed" in line);
    expect(told.reduce((sum, line) => sum + line.removed, 0)).toBeGreaterThanOrEqual(removed);
    expect(told[0].used).toMatch(/^\d+ %$/);

    // The same server, told to keep its word, has removed nothing in that time.
    expect(await start(kept, "long")).toBeUndefined();
    expect(new Set(await statusesOf(kept, keptOf!("short")))).toEqual(new Set([200]));
  }, 120_000);
});

describe.skipIf(redisMissing !== undefined)("a full Redis", () => {
  test("has room again soon; nothing is left of what was removed but tombstones", async () => {
    const redis = await startRedis({ maxmemory: "24mb" });
    const url = `redis://127.0.0.1:${redis.port}`;
    const servers = [await startTestServer({ store: url }), await startTestServer({ store: url })];
    try {
      const [one, other] = servers as [TestServer, TestServer];
      for (const definition of [quick("short", 1), single("open")]) {
        await saveWorkflow(one, definition);
      }
      const idsOf = await fill(one, ["short", "open"]);
      const later: string[] = [];
      await until(async () => {
        const id = await start(other, "short");
        if (id !== undefined) later.push(id);
        return id !== undefined;
      }, 120_000);
      // It goes on for a while; what a round has removed is counted at its end.
      const ids = [...idsOf("short"), ...later];
      let gone: string[] = [];
      await until(async () => {
        const used = (await usedMemory(redis.client)) / (24 * 1024 * 1024);
        const statuses = await statusesOf(one, ids);
        gone = ids.filter((_, i) => statuses[i] === 410);
        const counted = (await removedEarly(one)) + (await removedEarly(other));
        return used <= limits.redisUsedMax - limits.spaceRegained && counted === gone.length;
      });
      expect((await call(one, "GET", "/health/ready")).status).toBe(200);
      expect(gone.length).toBeGreaterThan(0);
      expect(new Set(await statusesOf(other, idsOf("open")))).toEqual(new Set([200]));

      const keys = await redis.client.keys("*");
      for (const id of gone) {
        const left = keys.filter((key) => key.endsWith(`:${id}`));
        expect(left.map((key) => key.split(":").at(-2))).toEqual(["x"]);
        expect((await redis.client.hkeys(left[0] as string)).sort()).toEqual(["R", "g"]);
      }
      const members = async (name: string) => {
        const sets = keys.filter((key) => key.endsWith(name));
        const counts = await Promise.all(sets.map((key) => redis.client.zcard(key)));
        return counts.reduce((sum, count) => sum + count, 0);
      };
      const finished = ids.length - gone.length;
      expect(await members(":timers")).toBe(finished);
      expect(await members(":w:short")).toBe(finished);
      expect(await members(":s:COMPLETED")).toBe(finished);
      expect(await members(":all")).toBe(finished + idsOf("open").length);
      expect(await members(":graves")).toBe(0);
    } finally {
      for (const server of servers) await server.remove();
      await redis.stop();
    }
  }, 120_000);

  test("that takes nothing at all is made room in by a server that starts then", async () => {
    const redis = await startRedis();
    const url = `redis://127.0.0.1:${redis.port}`;
    const flags = ["--keep-retention"];
    const before = await startTestServer({ store: url, flags });
    await saveWorkflow(before, quick("short", 1));
    for (let i = 0; i < 1_500; i++) await start(before, "short");
    await before.remove();
    const used = await usedMemory(redis.client);
    await redis.client.config("SET", "maxmemory", used - 1_000_000);
    // As for the first server of a new version, whose functions do not fit.
    await redis.client.call("FUNCTION", "FLUSH");
    const server = await startTestServer({ store: url });
    try {
      expect((await call(server, "GET", "/health/ready")).status).toBe(503);
      expect(await start(server, "short")).toBeUndefined();
      await until(async () => (await start(server, "short")) !== undefined, 90_000);
      // Starts are taken again before the round is over in which it is counted.
      await until(async () => (await removedEarly(server)) > 0, 60_000);
    } finally {
      await server.remove();
      await redis.stop();
    }
  }, 120_000);
});
