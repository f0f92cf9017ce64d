/** Random operations on the memory store and on every kind of Redis, answer by answer. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { redisMissing } from "../support/redis.ts";
import { mustReach, runDifferential } from "./differential/differential.ts";
import { openEmptyRedis, redisTargets } from "./redis-targets.ts";

const given = process.env.SEED;
const seeds =
  given === undefined ? Array.from({ length: 200 }, (_, i) => 1_000 + i) : [Number(given)];
const partitions = 2;
const startMs = 30_000;

function differential(url: () => string): void {
  test("answers as the memory store does", async () => {
    const reached = new Set<string>();
    for (const seed of seeds) {
      const reference = new MemoryStore({ partitions });
      const redis = await openEmptyRedis(url(), { partitions });
      // One at a time: batches do not keep their order with other calls. Ties are as Redis likes.
      const options = { seed, operations: 150, together: 1, partitions, smallLimits: false };
      await runDifferential({ ...options, reference, others: [redis], reached });
      await redis.close();
    }
    if (given === undefined) expect(mustReach.filter((one) => !reached.has(one))).toEqual([]);
  }, 120_000);
}

if (redisMissing !== undefined) test.skip(`the Redis store (${redisMissing})`, () => {});
else {
  for (const { name, start } of redisTargets) {
    describe(name, () => {
      let running: Awaited<ReturnType<typeof start>>;
      beforeAll(async () => {
        running = await start();
      }, startMs);
      afterAll(() => running.stop());
      differential(() => running.url);
    });
  }
}
