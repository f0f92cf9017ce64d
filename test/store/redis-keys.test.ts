/** What the Redis store leaves in Redis: which keys, of which types, and what goes by itself. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { systemIds } from "../../src/base/clock.ts";
import { partitionTags, slotOf, slots, typeOfKey } from "../../src/store/redis/keys.ts";
import { openRedisStore } from "../../src/store/redis/open.ts";
import { probe } from "../../src/store/redis/probe.ts";
import type { RedisStore } from "../../src/store/redis/redis-store.ts";
import { type RedisServer, redisMissing, startLoneCluster, startRedis } from "../support/redis.ts";
import {
  claim,
  claimDue,
  createRequest,
  type Driven,
  handedOff,
  idsIn,
  newTask,
  start,
  t0,
} from "./conformance/subject.ts";

let server: RedisServer;
let store: RedisStore;
const namespace = "keys";

if (redisMissing === undefined) {
  beforeAll(async () => {
    server = await startRedis();
    const url = `redis://127.0.0.1:${server.port}`;
    store = await openRedisStore(url, { namespace, partitions: 4, clockCheck: false });
  });
  afterAll(async () => {
    await store.close();
    await server.stop();
  });
}
const redisTest = redisMissing === undefined ? test : test.skip;

function tagOf(e: Driven): string {
  return partitionTags(4)[e.key.partition] as string;
}

interface Found {
  readonly type: string;
  readonly ttlMs: number;
}

async function keySpace(): Promise<Map<string, Found>> {
  const found = new Map<string, Found>();
  for (const key of (await server.client.keys("*")).sort()) {
    found.set(key, {
      type: await server.client.type(key),
      ttlMs: await server.client.pttl(key),
    });
  }
  return found;
}

/** An execution that uses every kind of key there is. */
async function everything(id: string): Promise<Driven> {
  const e = await start(store, id, {
    listing: {
      id,
      workflow: "orders",
      version: 1,
      status: "RUNNING",
      startedAt: t0,
      correlationId: "k",
      parent: "p",
    },
    data: new Map([["f", "1"]]),
    effects: {
      tasks: [newTask("t1", { queueTimeoutMs: 500 }), handedOff("t2", "1.n.t2")],
      timers: [{ id: "x", at: t0 }],
      messages: [{ id: "m", body: "1" }],
      history: ["1"],
    },
  });
  const { partition } = e.key;
  await claimDue(store, partition, t0, `due-${id}`);
  await store.claimOutbox({ partition, claimId: `out-${id}`, limit: 9, hideMs: 9, now: t0 });
  await e.commit({ tasks: [newTask("t3", { queue: "other" })] });
  await claim(store, partition, { tokenPrefix: `1.${id}` });
  await e.commit({ dropTasks: ["t2"], hold: true });
  return e;
}

/** Enough commits that what they leave is no longer in separate fields. */
const manyCommits = 70;

async function remove(e: Driven, tombstoneUntil = t0 + 5_000) {
  return await store.remove({ key: e.key, expected: e.head, tombstoneUntil, now: t0 });
}

redisTest("every key is known to keys.ts, and of the type it says", async () => {
  const e = await everything("known");
  for (let i = 0; i < manyCommits; i++) await e.commit({ history: [`${i}`] });
  await store.beatServer({ id: "s", body: "{}", now: t0, ttlMs: 100 });
  await store.putDocument({ kind: "k", id: "d", body: "1", expectedVersion: 0 });
  const found = await keySpace();
  const kinds = new Set<string>();
  for (const [key, { type }] of found) {
    expect([key, typeOfKey(namespace, key)]).toEqual([key, type]);
    kinds.add(key.slice(key.indexOf("}") + 1).split(":")[1] as string);
  }
  for (const kind of ["x", "h", "held", "leases", "timers", "dropped", "out", "seq", "claim"]) {
    expect(kinds).toContain(kind);
  }
  await remove(e);
});

redisTest("a removed execution leaves its tombstone, which expires, and nothing else", async () => {
  const warm = await everything("warm");
  await remove(warm);
  const before = await keySpace();
  const e = await everything("gone");
  const left = async () =>
    [...(await keySpace()).keys()].filter(
      (key) => !before.has(key) && !/:claim:|:seq$|:buried$/.test(key),
    );
  expect((await left()).length).toBeGreaterThan(5);
  expect(await remove(e)).toBe("removed");
  const tombstones = (await left()).filter((key) => key.endsWith(":x:gone"));
  expect(await left()).toEqual(tombstones);
  expect(tombstones.length).toBe(1);
  const ttlMs = await server.client.pttl(tombstones[0] as string);
  // Its moment, and a minute for clocks that are apart.
  expect(ttlMs).toBeGreaterThan(50_000);
  expect(ttlMs).toBeLessThanOrEqual(65_000);
  expect((await server.client.hkeys(tombstones[0] as string)).sort()).toEqual(["R", "g"]);
});

redisTest("tombstones are counted until they end, a partition at each reading", async () => {
  const now = Date.now();
  const count = async () => {
    for (let i = 1; i < store.partitions; i++) await store.pressure();
    return (await store.pressure()).tombstones;
  };
  const before = (await count()) as number;
  const bury = async (id: string, seconds: number) => {
    const { key, head: expected } = await start(store, id);
    const tombstoneUntil = now + seconds * 1000;
    const request = { key, expected, tombstoneUntil, now };
    for (let i = 0; i < 2; i++) expect(await store.remove(request)).toBe("removed");
  };
  for (let i = 0; i < 20; i++) await bury(`minutes-${i}`, 600);
  for (let i = 0; i < 10; i++) await bury(`years-${i}`, 366 * 86_400);
  await bury("ended", 0);
  expect(await count()).toBe(before + 30);
  const [hash] = (await server.client.keys("*:buried")) as [string];
  await server.client.hset(hash, `${now - 2_000}`, 1_000);
  expect(await count()).toBe(before + 30);
});

redisTest("a removal that nobody finished is finished later", async () => {
  const history = Array.from({ length: 1_200 }, (_, i) => `${i}`);
  const e = await start(store, "large", { effects: { history } });
  expect(await remove(e, t0 + 100)).toBe("more");
  const [key] = (await server.client.keys("*:x:large")) as [string];
  const left = async () => (await server.client.hget(key, "n:1"))?.split("\0").slice(1);
  expect(await left()).toEqual(history.slice(500));
  for (let i = 0; i < 2; i++) await claimDue(store, e.key.partition, t0 + 100 + i, `later-${i}`);
  expect(await server.client.exists(key)).toBe(0);
  expect(await store.load({ key: e.key })).toEqual({ outcome: "not_found" });
  expect(await server.client.keys("*:graves")).toEqual([]);
});

redisTest("thousands of leases whose place is too early cost each look little", async () => {
  const count = 2_000;
  const partition = 3;
  const all = await Promise.all(
    idsIn(partition, count).map((id) =>
      start(store, id, { effects: { tasks: [handedOff("t0", "1.n.t0")] } }),
    ),
  );
  const leaseUntil = t0 + 30_000;
  const lease = { token: "1.n.t1", workerId: "w1", leaseUntil, deadline: leaseUntil };
  const settle = [{ taskId: "t0", token: "1.n.t0" }];
  await Promise.all(all.map((e) => e.commit({ settle, tasks: [newTask("t1", { lease })] })));
  const reads = async () => {
    const stats = await server.client.info("commandstats");
    return Number(/cmdstat_hget:calls=(\d+)/.exec(stats)?.[1]);
  };
  const now = t0 + 2_000;
  let looks = 0;
  for (let isNow = true; isNow; looks++) {
    const before = await reads();
    const { items, nextDue } = await claimDue(store, partition, now, `look-${looks}`);
    expect((await reads()) - before).toBeLessThan(count / 2);
    expect(items).toEqual([]);
    isNow = (nextDue as number) <= now;
    if (!isNow) expect(nextDue).toBe(leaseUntil);
  }
  expect(looks).toBeLessThan(10);
  const { items } = await claimDue(store, partition, leaseUntil, "due");
  expect(items.length).toBe(100);
});

redisTest("a task that follows on another costs the sets of the partition nothing", async () => {
  const e = await start(store, "chain", { effects: { tasks: [handedOff("t0", "1.n.t0")] } });
  const sets = async () => {
    const keys = (await server.client.keys(`*{${tagOf(e)}}:leases`)).sort();
    return await Promise.all(keys.map((key) => server.client.zrange(key, "0", "-1", "WITHSCORES")));
  };
  const before = await sets();
  for (let i = 0; i < 3; i++) {
    const lease = { token: `1.n.t${i + 1}`, workerId: "w1", deadline: t0 + 9_000 };
    await e.commit({
      settle: [{ taskId: `t${i}`, token: `1.n.t${i}` }],
      tasks: [newTask(`t${i + 1}`, { lease: { ...lease, leaseUntil: t0 + 2_000 + i } })],
    });
  }
  expect(await sets()).toEqual(before);
  // Asked for, the store names the moment at which the lease really ends.
  const due = await claimDue(store, e.key.partition, t0 + 1_500, "chain");
  expect(due).toEqual({ items: [], nextDue: t0 + 2_002 });
  await remove(e);
});

redisTest("what claims remember expires", async () => {
  await everything("claims");
  const claims = [...(await keySpace())].filter(([key]) => key.includes(":claim:"));
  expect(claims.length).toBeGreaterThanOrEqual(3);
  for (const [, { ttlMs }] of claims) expect(ttlMs).toBeGreaterThan(0);
});

redisTest("the probe at the start leaves nothing behind", async () => {
  const before = [...(await keySpace()).keys()];
  const url = `redis://127.0.0.1:${server.port}`;
  const other = await openRedisStore(url, { namespace: "probed", partitions: 4 });
  const added = [...(await keySpace()).keys()].filter((key) => !before.includes(key));
  expect(added.map((key) => key.replace(/\{\d+\}/, "{tag}")).sort()).toEqual([
    "probed:{meta}:settings",
    "probed:{tag}:probe:paired",
    "probed:{tag}:probe:seq",
  ]);
  await other.close();
});

redisTest("a probe that was cut off leaves nothing that anybody meets", async () => {
  const url = `redis://127.0.0.1:${server.port}`;
  const options = { namespace: "cut-off", partitions: 1 };
  const [tag] = partitionTags(1);
  // A key of a foreign type ends the probe when it leases its task.
  const obstacles = ["leases", "probe:leases"].map((name) => `cut-off:{${tag}}:${name}`);
  for (const key of obstacles) await server.client.set(key, "in the way");
  await expect(openRedisStore(url, options)).rejects.toThrow("WRONGTYPE");
  await server.client.del(...obstacles);
  const next = await openRedisStore(url, options);
  expect((await next.list({ partition: 0, limit: 9 })).items).toEqual([]);
  expect(await next.queueHints({ partition: 0 })).toEqual([]);
  await next.close();
});

redisTest("a probe clears away what an older one has left", async () => {
  const url = `redis://127.0.0.1:${server.port}`;
  const options = { namespace: "tidy", partitions: 4, clockCheck: false };
  const own = await openRedisStore(url, options);
  const [older, younger] = idsIn(1, 2) as [string, string];
  for (const [id, now] of [
    [older, t0],
    [younger, t0 + 60_000],
  ] as const) {
    const listing = { ...createRequest(id).listing, startedAt: now };
    await start(own, id, { listing, now, effects: { tasks: [newTask("t1")] } });
  }
  const forget = async () => {};
  await probe(own, { partitions: [1], now: t0 + 90_000, ids: systemIds, forget });
  const { items } = await own.list({ partition: 1, limit: 9 });
  expect(items.map(({ id }) => id)).toEqual([younger]);
  await own.close();
});

test("tags spread partitions evenly over the slots", async () => {
  for (const [partitions, nodes] of [
    [64, 3],
    [64, 6],
    [16, 3],
    [1, 1],
    [4_096, 7],
  ] as const) {
    const tags = partitionTags(partitions);
    expect(new Set(tags).size).toBe(partitions);
    const counts = Array<number>(nodes).fill(0);
    for (const tag of tags) {
      const node = Math.floor((slotOf(tag) * nodes) / slots);
      counts[node] = (counts[node] ?? 0) + 1;
    }
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
  }
});

redisTest("slots are those that Redis computes", async () => {
  const lone = await startLoneCluster();
  for (const tag of [...partitionTags(64), "meta", "ü 😀", "123456789"]) {
    expect(await lone.client.cluster("KEYSLOT", tag)).toBe(slotOf(tag));
  }
  await lone.stop();
});
