/** The differential tests, over the seeds that a test file gives. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { MemoryStore } from "../../../src/store/memory/memory-store.ts";
import { openSqliteStore } from "../../../src/store/sqlite/sqlite-store.ts";
import { redisMissing } from "../../support/redis.ts";
import { openEmptyRedis, redisTargets } from "../redis-targets.ts";
import { temporaryFolder } from "../temporary.ts";
import { mustReach, runDifferential } from "./differential.ts";

const partitions = 2;
const startMs = 30_000;
const testMs = 300_000;

/** `count` seeds from the first one, or the one that SEED gives. */
export function seedsFrom(first: number, count: number): readonly number[] {
  const given = process.env.SEED;
  return given === undefined ? Array.from({ length: count }, (_, i) => first + i) : [Number(given)];
}

function expectReached(reached: ReadonlySet<string>, seeds: readonly number[]): void {
  if (seeds.length > 1) expect(mustReach.filter((one) => !reached.has(one))).toEqual([]);
}

export function sqliteDifferential(seeds: readonly number[]): void {
  describe("stores answer alike", () => {
    test(
      "the memory store and SQLite",
      async () => {
        const reached = new Set<string>();
        for (const seed of seeds) {
          const folder = temporaryFolder();
          const path = join(folder.path, "orchy.db");
          const reference = new MemoryStore({ partitions });
          const sqlite = openSqliteStore({ path, partitions });
          const options = { seed, operations: 150, together: 6, partitions, smallLimits: true };
          await runDifferential({ ...options, reference, others: [sqlite], reached });
          await sqlite.close();
          folder.remove();
        }
        expectReached(reached, seeds);
      },
      testMs,
    );
  });
}

/** With every kind of Redis. */
export function redisDifferential(seeds: readonly number[]): void {
  if (redisMissing !== undefined) {
    test.skip(`the Redis store (${redisMissing})`, () => {});
    return;
  }
  for (const { name, start } of redisTargets) {
    describe(name, () => {
      let running: Awaited<ReturnType<typeof start>>;
      beforeAll(async () => {
        running = await start();
      }, startMs);
      afterAll(() => running.stop());
      test(
        "answers as the memory store does",
        async () => {
          const reached = new Set<string>();
          for (const seed of seeds) {
            const reference = new MemoryStore({ partitions });
            const redis = await openEmptyRedis(running.url, { partitions });
            // One at a time: batches do not keep their order with other calls. Ties are as Redis likes.
            const options = { seed, operations: 150, together: 1, partitions, smallLimits: false };
            await runDifferential({ ...options, reference, others: [redis], reached });
            await redis.close();
          }
          expectReached(reached, seeds);
        },
        testMs,
      );
    });
  }
}
