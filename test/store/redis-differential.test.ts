/** Random operations on the memory store and on Redis, answer by answer. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { openRedisStore } from "../../src/store/redis/open.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { runDifferential } from "./differential/differential.ts";

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => {
  await server.stop();
});

const given = process.env.SEED;
const seeds =
  given === undefined ? Array.from({ length: 200 }, (_, i) => 1_000 + i) : [Number(given)];
const partitions = 2;
describe("stores answer alike", () => {
  test("the memory store and Redis", async () => {
    const reached = new Set<string>();
    for (const seed of seeds) {
      const reference = new MemoryStore({ partitions });
      const url = `redis://127.0.0.1:${server.port}`;
      const redis = await openRedisStore(url, { namespace: `seed-${seed}`, partitions, clockCheck: false });
      const options = { seed, operations: 150, together: 1, partitions, smallLimits: false };
      await runDifferential({ ...options, reference, others: [redis], reached });
      await redis.close();
    }
    expect([...reached].sort()).toEqual([]);
  }, 60_000);
});
