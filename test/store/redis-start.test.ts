/** Opening the Redis store: addresses, what it refuses to work on, and waking other servers. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { currentFormat, oldestFormat } from "../../src/model/format.ts";
import { openStore } from "../../src/store/open.ts";
import { parseRedisUrl } from "../../src/store/redis/address.ts";
import { openRedisStore, type RedisOptions } from "../../src/store/redis/open.ts";
import {
  type RedisServer,
  redisMissing,
  startCluster,
  startRedis,
  startSentinel,
} from "../support/redis.ts";
import { claim, handedOff, idsIn, newTask, release, start, t0 } from "./conformance/subject.ts";

describe("addresses", () => {
  test("say who is to be reached, and how", () => {
    expect(parseRedisUrl("redis://h")).toEqual({
      kind: "single",
      nodes: [{ host: "h", port: 6379 }],
      tls: false,
    });
    expect(parseRedisUrl("rediss://ann:p%40ss@[::1]:7/0")).toEqual({
      kind: "single",
      nodes: [{ host: "::1", port: 7 }],
      tls: true,
      username: "ann",
      password: "p@ss",
    });
    expect(parseRedisUrl("rediss-cluster://:secret@a:1,b:2")).toEqual({
      kind: "cluster",
      nodes: [
        { host: "a", port: 1 },
        { host: "b", port: 2 },
      ],
      tls: true,
      password: "secret",
    });
    expect(parseRedisUrl("redis-sentinel://a,b:2/main")).toEqual({
      kind: "sentinel",
      nodes: [
        { host: "a", port: 26379 },
        { host: "b", port: 2 },
      ],
      tls: false,
      master: "main",
    });
  });

  test("that are wrong are refused in one sentence, which keeps the password", async () => {
    for (const [url, part] of [
      ["redis://:secret@", "host:port"],
      ["redis://:secret@h:70000", "a port from 1 to 65535"],
      ["redis://:secret@h:1e3", "a port from 1 to 65535"],
      ["redis://:secret@h:1,i:2", "redis-cluster://"],
      ["redis://:secret@h:1/3", "database 0"],
      ["redis-cluster://:secret@h:1/0/1", "database 0"],
      ["redis-sentinel://:secret@h:1", "name of the master"],
      ["redis://%zz@h:1", "escape"],
    ] as const) {
      const opening = openStore(url, { namespace: "n" });
      const error = await opening.then(() => undefined).catch((reason) => reason as Error);
      expect(error?.message).toMatch(/^The address of the Redis store [^.]*\.$/);
      expect(error?.message).toContain(part);
      expect(error?.message).not.toContain("secret");
    }
  });
});

describe.skipIf(redisMissing !== undefined)("a start", () => {
  const urlOf = ({ port }: RedisServer) => `redis://127.0.0.1:${port}`;
  let server: RedisServer;

  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());

  async function refusal(url: string, options: Partial<RedisOptions> = {}): Promise<string> {
    try {
      const store = await openRedisStore(url, { namespace: "refused", ...options });
      await store.close();
      return "";
    } catch (error) {
      return (error as Error).message;
    }
  }

  async function settings(changes: Record<string, string>): Promise<void> {
    for (const [name, value] of Object.entries(changes)) {
      await server.client.config("SET", name, value);
    }
  }

  test("by default makes 64 partitions, and finds them again", async () => {
    const store = await openStore(urlOf(server), { namespace: "sized" });
    expect(store.partitions).toBe(64);
    await store.close();
    const again = await openStore(urlOf(server), { namespace: "sized", partitions: 64 });
    await again.close();
    const other = await refusal(urlOf(server), { namespace: "sized", partitions: 16 });
    expect(other).toBe(
      "The namespace sized has 64 partitions, which cannot be changed; start with " +
        "--partitions 64, or without it.",
    );
  });

  test("refuses a format that it does not know", async () => {
    for (const format of [oldestFormat - 1, currentFormat + 1, "x"]) {
      await server.client.hset("newer:{meta}:settings", { layout: format, partitions: "4" });
      expect(await refusal(urlOf(server), { namespace: "newer" })).toBe(
        `The namespace newer was written by another version of Orchy (format ${format}; this one ` +
          `reads ${oldestFormat} to ${currentFormat}). Start that version, or a newer one.`,
      );
    }
  });

  test("begins with the newest format, and never lowers it", async () => {
    const store = await openRedisStore(urlOf(server), { namespace: "risen", partitions: 4 });
    expect(store.format()).toBe(currentFormat);
    expect(await store.raiseFormat(oldestFormat)).toBe(currentFormat);
    expect(await store.raiseFormat(currentFormat + 1)).toBe(currentFormat + 1);
    expect(store.format()).toBe(currentFormat + 1);
    // Emptied under its servers: nothing is made up for it.
    await server.client.del("risen:{meta}:settings");
    expect(await store.raiseFormat(currentFormat + 2)).toBe(currentFormat + 1);
    expect(await server.client.exists("risen:{meta}:settings")).toBe(0);
    await store.close();
  });

  test("keeps namespaces apart on one Redis", async () => {
    const open = (namespace: string) =>
      openRedisStore(urlOf(server), { namespace, partitions: 4, clockCheck: false });
    const [a, b] = await Promise.all([open("one"), open("two")]);
    const e = await start(a, "e1", { effects: { tasks: [newTask("t1")] } });
    expect((await b.load({ key: e.key })).outcome).toBe("not_found");
    expect(await claim(b, e.key.partition)).toEqual({ tasks: [], more: [] });
    await Promise.all([a.close(), b.close()]);
  });

  test("refuses a Redis that evicts, or keeps nothing", async () => {
    await settings({ "maxmemory-policy": "allkeys-lru" });
    expect(await refusal(urlOf(server))).toMatch(/may evict .*; set maxmemory-policy to noevict/);
    await settings({ "maxmemory-policy": "noeviction", save: "" });
    expect(await refusal(urlOf(server))).toMatch(/keeps nothing on disk .*; set appendonly to yes/);
    await settings({ save: "86400 1" });
    expect(await refusal(urlOf(server))).toBe("");
  });

  test("says how durable this Redis is", async () => {
    const durability = async () => {
      const store = await openRedisStore(urlOf(server), { namespace: "durable", partitions: 4 });
      await store.close();
      return store.traits.durability;
    };
    expect(await durability()).toContain("snapshot");
    await settings({ appendonly: "yes", appendfsync: "always" });
    expect(await durability()).toContain("appendfsync always");
    await settings({ appendfsync: "everysec" });
    expect(await durability()).toContain("last second");
    await settings({ appendfsync: "no" });
    expect(await durability()).toContain("appendfsync no");
    await settings({ appendonly: "no" });
  });

  test("tells in one sentence that nobody listens, or that a password is wrong", async () => {
    const closed = await startRedis();
    await closed.stop();
    expect(await refusal(urlOf(closed))).toMatch(/^Redis at 127.0.0.1:\d+ cannot be used: .*\.$/);
    const cluster = urlOf(closed).replace("redis:", "redis-cluster:");
    expect(await refusal(cluster)).toMatch(/^Redis at 127.0.0.1:\d+ cannot be used: .*\.$/);
    const guarded = await startRedis({ requirepass: "right" });
    const url = `redis://:wrong@127.0.0.1:${guarded.port}`;
    const told = await refusal(url);
    expect(told).toMatch(/^Redis at 127.0.0.1:\d+ cannot be used: .*\.$/);
    expect(told).not.toContain("wrong@");
    expect(await refusal(url.replace("wrong", "right"))).toBe("");
    await guarded.stop();
  }, 120_000);

  test("refuses a user that may not publish, as nobody would be woken", async () => {
    const guarded = await startRedis();
    const rules = ["on", ">secret", "~*", "+@all"];
    await guarded.client.call("ACL", "SETUSER", "deaf", ...rules, "resetchannels");
    const url = `redis://deaf:secret@127.0.0.1:${guarded.port}`;
    expect(await refusal(url)).toMatch(/^The user of Redis may not publish on .*NOPERM/);
    await guarded.client.call("ACL", "SETUSER", "deaf", "allchannels");
    expect(await refusal(url)).toBe("");
    await guarded.stop();
  });

  test("finds the master that sentinels know", async () => {
    const sentinel = await startSentinel(server.port);
    const url = `redis-sentinel://127.0.0.1:${sentinel.port}/main`;
    const store = await openRedisStore(url, { namespace: "watched", partitions: 4 });
    expect(await server.client.exists("watched:{meta}:settings")).toBe(1);
    await store.close();
    await sentinel.stop();
  }, 120_000);
});

describe.skipIf(redisMissing !== undefined)("wake-ups", () => {
  async function expectWakes(url: string): Promise<void> {
    const options = { namespace: "wakes", partitions: 4, clockCheck: false };
    const [a, b] = [await openRedisStore(url, options), await openRedisStore(url, options)];
    const heard: string[] = [];
    let listener: (() => void) | undefined;
    await b.onWake((partition, queue) => {
      heard.push(`${partition} ${queue}`);
      listener?.();
    });
    const next = () =>
      new Promise<void>((resolve) => {
        listener = resolve;
      });
    const [id, other] = idsIn(2, 2) as [string, string];
    const queued = next();
    const e = await start(a, id, { effects: { tasks: [newTask("t1"), newTask("t2")] } });
    await queued;
    // Handed off, or into a queue that held some: no other server needs to know.
    await e.commit({ tasks: [handedOff("t4", "1.n.t4", { queue: "silent" }), newTask("t3")] });
    const left = next();
    await claim(a, 2, { limit: 1 });
    await left;
    await claim(a, 2, { limit: 9, tokenPrefix: "1.m" });
    const released = next();
    await release(a, { key: e.key, taskId: "t4", token: "1.n.t4", now: t0 });
    await released;
    const last = next();
    await start(a, other, { effects: { tasks: [newTask("t1", { queue: "last" })] } });
    await last;
    expect(heard).toEqual(["2 q/a", "2 q/a", "2 silent", "2 last"]);
    await Promise.all([a.close(), b.close()]);
  }

  test("reach other servers of one Redis", async () => {
    const server = await startRedis();
    await expectWakes(`redis://127.0.0.1:${server.port}`);
    await server.stop();
  }, 120_000);

  test("reach other servers of a cluster", async () => {
    const cluster = await startCluster();
    await expectWakes(`redis-cluster://127.0.0.1:${cluster.nodes[0]?.port}`);
    await cluster.stop();
  }, 120_000);
});
