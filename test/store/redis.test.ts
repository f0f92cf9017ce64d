/** The Redis store keeps the contract, on every kind of Redis. */
import { afterAll, beforeAll, describe, test } from "bun:test";
import { redisMissing } from "../support/redis.ts";
import { storeConformance } from "./conformance.ts";
import { openEmptyRedis, redisTargets } from "./redis-targets.ts";

const startMs = 30_000;

const skip = [
  "an ended tombstone that nobody creates again is forgotten in time",
  "each removal purges more ended tombstones than it makes",
  "while ended tombstones are left, claimDue asks to be called again",
  "tombstones are counted",
].map((test) => ({ test, reason: "Redis forgets them by itself: see redis-keys.test.ts" }));

if (redisMissing !== undefined) test.skip(`the Redis store (${redisMissing})`, () => {});
else {
  for (const { name, start } of redisTargets) {
    describe(name, () => {
      let running: Awaited<ReturnType<typeof start>>;
      beforeAll(async () => {
        running = await start();
      }, startMs);
      afterAll(() => running.stop());
      storeConformance(
        name,
        async (options) => ({
          store: await openEmptyRedis(running.url, options),
          cleanUp: async () => {},
        }),
        { skip },
      );
    });
  }
}
