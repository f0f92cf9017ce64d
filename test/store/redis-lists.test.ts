/** What lists cost Redis, and that they stay right beside what servers of other versions have left. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { executionKey } from "../../src/model/ids.ts";
import { Lists } from "../../src/runtime/services/listing.ts";
import { openRedisStore } from "../../src/store/redis/open.ts";
import type { RedisStore } from "../../src/store/redis/redis-store.ts";
import { type RedisServer, redisMissing, startRedis } from "../support/redis.ts";
import { createRequest, t0 } from "./conformance/subject.ts";

let server: RedisServer;
const opened: RedisStore[] = [];
const redisTest = redisMissing === undefined ? test : test.skip;

if (redisMissing === undefined) {
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(async () => {
    for (const store of opened) await store.close();
    await server.stop();
  });
}

async function open(namespace: string, partitions: number): Promise<RedisStore> {
  const url = `redis://127.0.0.1:${server.port}`;
  const store = await openRedisStore(url, { namespace, partitions, clockCheck: false });
  opened.push(store);
  return store;
}

/** The newest first. */
async function fill(store: RedisStore, count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, (_, i) => `e${i}`);
  await Promise.all(
    ids.map((id, i) => {
      const status = i % 10 === 0 ? ("FAILED" as const) : ("COMPLETED" as const);
      const workflow = i % 2 === 0 ? "even" : "odd";
      const listing = { id, workflow, version: 1, status, startedAt: t0 + i };
      return store.create({
        ...createRequest(id),
        key: executionKey(id, store.partitions),
        listing,
      });
    }),
  );
  return ids.reverse();
}

async function calls(command: string): Promise<number> {
  const stats = await server.client.info("commandstats");
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
}

async function keysLike(pattern: string): Promise<string[]> {
  return (await server.client.keys(pattern)).sort();
}

redisTest("a page costs a few scripts, and few reads beyond what it shows", async () => {
  const store = await open("cost", 64);
  const ids = await fill(store, 2_000);
  const lists = new Lists({ store, clock: systemClock });
  await lists.page({ limit: 1 });
  const before = [await calls("fcall"), await calls("hmget")] as const;
  const page = await lists.page({ limit: 50 });
  expect(page.items.map(({ id }) => id)).toEqual(ids.slice(0, 50));
  expect((await calls("fcall")) - before[0]).toBeLessThan(20);
  expect((await calls("hmget")) - before[1]).toBeLessThan(5 * 50);
});

redisTest(
  "what older servers have left is indexed, and what they removed is passed over",
  async () => {
    const store = await open("older", 2);
    const ids = await fill(store, 60);
    const pairs = await keysLike("older:*:pairs");
    expect(pairs.length).toBe(2);
    const failed = ids.filter((id) => Number(id.slice(1)) % 10 === 0);
    const lists = new Lists({ store, clock: systemClock });
    const page = async () => {
      const { items } = await lists.page({ workflow: "even", status: "FAILED", limit: 50 });
      return items.map(({ id }) => id);
    };
    // As if servers without the index had made them.
    await server.client.del(...pairs);
    expect(await page()).toEqual(failed);
    const indexAll = async () => {
      for (const partition of [0, 1]) {
        while ((await store.indexExecutions({ partition, limit: 7 })) === "more") {}
      }
    };
    await indexAll();
    const read = async (): Promise<number> => {
      const before = await calls("hmget");
      expect(await page()).toEqual(failed);
      return (await calls("hmget")) - before;
    };
    expect(await read()).toBe(failed.length);
    // As if one of them had removed what was entered before.
    const gone = `FAILED\0even\0${String(t0 + 1_000).padStart(16, "0")}:gone`;
    for (const key of pairs) await server.client.zadd(key, 0, gone);
    expect(await page()).toEqual(failed);
  },
);
