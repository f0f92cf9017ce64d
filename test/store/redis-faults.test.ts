/** What only Redis can get wrong: lost scripts, lost replies, no memory, foreign keys, wrong clocks. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { limits } from "../../src/base/limits.ts";
import { parseRedisUrl } from "../../src/store/redis/address.ts";
import { operationNames } from "../../src/store/redis/library.ts";
import { RedisLink } from "../../src/store/redis/link.ts";
import { openRedisStore } from "../../src/store/redis/open.ts";
import type { RedisStore } from "../../src/store/redis/redis-store.ts";
import { StoreFault } from "../../src/store/store.ts";
import { startCuttingProxy } from "../support/cutting-proxy.ts";
import {
  type RedisServer,
  redisMissing,
  startLoneCluster,
  startRedis,
  until,
} from "../support/redis.ts";
import {
  claimIds,
  createRequest,
  type Driven,
  idsIn,
  newTask,
  start,
  t0,
} from "./conformance/subject.ts";

let server: RedisServer;
let store: RedisStore;

const urlOf = ({ port }: RedisServer) => `redis://127.0.0.1:${port}`;

async function faultOf(work: Promise<unknown>): Promise<StoreFault> {
  const error = await work.then(
    () => undefined,
    (reason) => reason,
  );
  if (!(error instanceof StoreFault)) throw new Error(`No fault, but ${error}`);
  return error;
}

describe.skipIf(redisMissing !== undefined)("a Redis", () => {
  beforeAll(async () => {
    server = await startRedis();
    store = await openRedisStore(urlOf(server), {
      namespace: "faults",
      partitions: 4,
      clockCheck: false,
    });
  }, 120_000);
  afterAll(async () => {
    await store.close();
    await server.stop();
  });

  test("that forgets its functions is given them again", async () => {
    const e = await start(store, "flushed", { effects: { tasks: [newTask("t1")] } });
    await server.client.call("FUNCTION", "FLUSH");
    await e.commit({ history: ["1"] });
    await server.client.call("FUNCTION", "FLUSH");
    expect((await store.load({ key: e.key })).outcome).toBe("loaded");
    await server.client.call("FUNCTION", "FLUSH");
    expect(await claimIds(store, e.key.partition)).toEqual(["t1"]);
  });

  test("whose answer is lost leaves the outcome unknown, and a repeat changes nothing", async () => {
    const proxy = await startCuttingProxy(server.port);
    const url = `redis://127.0.0.1:${proxy.port}`;
    const cut = await openRedisStore(url, {
      namespace: "cut",
      partitions: 4,
      clockCheck: false,
    });
    const ids = idsIn(1, 2) as [string, string];
    const [a, b] = [await start(cut, ids[0]), await start(cut, ids[1])];
    const requests = [a, b].map((e) => e.request({ history: ['"once"'], tasks: [newTask("t1")] }));
    proxy.cutNextAnswer();
    const faults = await Promise.all(requests.map((request) => faultOf(cut.commit(request))));
    // One script carried both: each of them is unknown.
    expect(faults.map(({ outcome }) => outcome)).toEqual(["unknown", "unknown"]);
    for (const [i, e] of [a, b].entries()) {
      const repeated = await cut.commit(requests[i] as (typeof requests)[number]);
      expect(repeated.outcome).toBe("already_committed");
      expect(await cut.history({ key: e.key, after: 0, limit: 9 })).toEqual(['"once"']);
      expect((await cut.holdings(e.key)).tasks.length).toBe(1);
    }
    const create = createRequest(idsIn(2, 1)[0] as string);
    proxy.cutNextAnswer();
    expect((await faultOf(cut.create(create))).outcome).toBe("unknown");
    expect((await cut.create(create)).outcome).toBe("created");
    proxy.cutNextAnswer();
    expect((await faultOf(claimIds(cut, 1))).outcome).toBe("unknown");
    expect((await claimIds(cut, 1)).length).toBe(2);
    await cut.close();
    proxy.stop();
  });

  test("whose key is of a foreign type gives a clear fault, and spoils no other commit", async () => {
    const [one, two] = idsIn(1, 2) as [string, string];
    const wrong = await start(store, one);
    const right = await start(store, two);
    const [key] = await server.client.keys(`faults:*:x:${one}`);
    await server.client.del(key as string);
    await server.client.set(key as string, "a string");
    const [fault, answer] = await Promise.all([faultOf(wrong.try()), right.try()]);
    expect(fault.message).toContain("WRONGTYPE");
    expect(fault.outcome).toBe("unknown");
    expect(answer.outcome).toBe("committed");
    expect((await faultOf(store.load({ key: wrong.key }))).message).toContain("WRONGTYPE");
  });

  test("whose index is of a foreign type keeps nothing from the others", async () => {
    const [timed, ...ids] = idsIn(2, 4) as [string, ...string[]];
    const all = await Promise.all([timed, ...ids].map((id) => start(store, id)));
    const { key } = all[0] as Driven;
    const [one] = await server.client.keys(`faults:*:x:${timed}`);
    const timers = (one as string).replace(/:x:.*$/, ":timers");
    await server.client.set(timers, "a string");
    const commits = all.map((e) =>
      e.try({
        tasks: [newTask(`t-${e.key.id}`)],
        ...(e.key.id === timed && { timers: [{ id: "x", at: t0 }] }),
      }),
    );
    for (const commit of commits) expect((await faultOf(commit)).message).toContain("WRONGTYPE");
    await server.client.del(timers);
    const claimed = await claimIds(store, key.partition, { tokenPrefix: "1.index" });
    expect(claimed.sort()).toEqual(all.map((e) => `t-${e.key.id}`).sort());
  });

  test("that cannot be reached refuses at once, and nothing is sent later", async () => {
    const other = await startRedis();
    const cut = await openRedisStore(urlOf(other), {
      namespace: "down",
      partitions: 4,
      clockCheck: false,
    });
    const e = await start(cut, "e1");
    await other.stop();
    const fault = await faultOf(e.try());
    expect([fault.outcome, fault.reason]).toEqual(["not_applied", "unavailable"]);
    const sentence = /there is no connection: connect ECONNREFUSED [\d.]+:\d+$/;
    expect(fault.message).toMatch(sentence);
    expect((await faultOf(cut.pressure())).message).toMatch(sentence);
    await cut.close();
    expect((await faultOf(cut.load({ key: e.key }))).message).toBe("The store is closed.");
  }, 120_000);

  test("that refuses subscriptions after a reconnect costs wake-ups, until it takes them", async () => {
    const own = await startRedis();
    const waking = await openRedisStore(urlOf(own), {
      namespace: "waking",
      partitions: 4,
      clockCheck: false,
    });
    const woken = Promise.withResolvers<string>();
    await waking.onWake((_, queue) => woken.resolve(queue));
    // Who listens to a channel that is forbidden now is disconnected.
    await own.client.call("ACL", "SETUSER", "default", "resetchannels");
    const refused = /cmdstat_ssubscribe:.*rejected_calls=[1-9]/;
    await until(async () => refused.test(await own.client.info("commandstats")));
    await own.client.call("ACL", "SETUSER", "default", "allchannels");
    await own.client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    const listening = async () =>
      ((await own.client.call("PUBSUB", "SHARDCHANNELS")) as string[]).length === 2 * 4;
    await until(listening);
    await start(waking, "e1", { effects: { tasks: [newTask("t1")] } });
    expect(await woken.promise).toBe("q/a");
    await waking.close();
    await own.stop();
  }, 120_000);

  test("refuses a now that is more than a second off its own", async () => {
    const strict = await openRedisStore(urlOf(server), { namespace: "strict", partitions: 4 });
    const now = () => Date.now() + strict.timeOffset();
    const at = (id: string, ms: number) => strict.create(createRequest(id, { now: now() + ms }));
    expect((await at("right", 0)).outcome).toBe("created");
    for (const ms of [-limits.clockSkewMsMax - 500, limits.clockSkewMsMax + 500]) {
      const fault = await faultOf(at("wrong", ms));
      expect([fault.outcome, fault.reason]).toEqual(["not_applied", "unavailable"]);
      expect(fault.message).toContain("clock");
      const claim = { partition: 0, claimId: "c", limit: 9, hideMs: 9, now: now() + ms };
      expect((await faultOf(strict.claimDue(claim))).outcome).toBe("not_applied");
    }
    await strict.close();
  });

  test("says that the link is slow where it is, and not that a clock is wrong", async () => {
    const proxy = await startCuttingProxy(server.port);
    const url = `redis://127.0.0.1:${proxy.port}`;
    const far = await openRedisStore(url, { namespace: "far", partitions: 4 });
    const now = Date.now() + far.timeOffset();
    proxy.delayRequests(limits.clockSkewMsMax + 500);
    const fault = faultOf(far.create(createRequest("e1", { now })));
    const claim = far.claimDue({ partition: 0, claimId: "c", limit: 9, hideMs: 9, now });
    for (const { outcome, message } of [await fault, await faultOf(claim)]) {
      expect(outcome).toBe("not_applied");
      expect(message).toMatch(/on its way to Redis .* after 1[5-9]\d\d|[2-4]\d{3} ms/);
      expect(message).not.toContain("clock");
    }
    await far.close();
    proxy.stop();
  }, 120_000);

  test("tells a server whose clock is an hour off by how much", async () => {
    const hour = 3_600_000;
    const wrong = { ...systemClock, now: () => systemClock.now() - hour };
    const strict = await openRedisStore(urlOf(server), {
      namespace: "hour",
      partitions: 4,
      clock: wrong,
    });
    expect(Math.abs(strict.timeOffset() - hour)).toBeLessThan(10_000);
    const now = wrong.now() + strict.timeOffset();
    expect((await strict.create(createRequest("e1", { now }))).outcome).toBe("created");
    await strict.close();
  });
});

describe.skipIf(redisMissing !== undefined)("a Redis without memory", () => {
  test("refuses starts and documents; what has begun goes on", async () => {
    const full = await startRedis();
    const small = await openRedisStore(urlOf(full), {
      namespace: "full",
      partitions: 4,
      clockCheck: false,
    });
    const tasks = [newTask("t1"), newTask("t2")];
    const e = await start(small, "e1", { effects: { tasks, timers: [{ id: "x", at: t0 }] } });
    const { partition } = e.key;
    await full.client.config("SET", "maxmemory", "1mb");
    expect((await small.pressure()).used).toBeGreaterThan(1);

    const refused = await faultOf(small.create(createRequest("e2")));
    expect([refused.outcome, refused.reason]).toEqual(["not_applied", "exhausted"]);
    const document = { kind: "k", id: "d", body: "1", expectedVersion: 0 };
    expect((await faultOf(small.putDocument(document))).reason).toBe("exhausted");

    expect(await claimIds(small, partition, { tokenPrefix: "1.n" })).toEqual(["t1", "t2"]);
    const settle = [{ taskId: "t1", token: "1.n.t1" }];
    await e.commit({ settle, data: new Map([["out", '"x"']]), history: ["1"] });
    const lease = { key: e.key, taskId: "t2", token: "1.n.t2", until: t0 + 2_000 };
    const [extended] = await small.extendLeases({ partition, leases: [lease], now: t0 });
    expect(extended?.outcome).toBe("extended");
    const due = { partition, claimId: "c", limit: 9, hideMs: 9, now: t0 };
    expect((await small.claimDue(due)).items.length).toBe(1);
    await small.beatServer({ id: "s", body: "{}", now: t0, ttlMs: 100 });
    const removal = { key: e.key, expected: e.head, tombstoneUntil: t0 + 1, now: t0 };
    expect(await small.remove(removal)).toBe("removed");

    await full.client.config("SET", "maxmemory", "0");
    expect((await small.create(createRequest("e2"))).outcome).toBe("created");
    expect(await small.pressure()).toMatchObject({ used: 0 });
    await small.close();
    await full.stop();
  }, 120_000);
});

describe.skipIf(redisMissing !== undefined)("a cluster", () => {
  test("refuses a script whose keys are of two partitions", async () => {
    const lone = await startLoneCluster();
    const address = parseRedisUrl(`redis-cluster://127.0.0.1:${lone.port}`);
    if ("problem" in address) throw new Error(address.problem);
    const link = new RedisLink(address, systemClock);
    await link.connect();
    for (const name of operationNames) {
      const fault = await faultOf(link.call(name, ["a:{1}", "a:{2}"], ["-1", "0"]));
      expect([name, fault.outcome, fault.message]).toEqual([
        ...[name, "not_applied"],
        expect.stringContaining("CROSSSLOT") as unknown as string,
      ]);
    }
    link.close();
    await lone.stop();
  }, 120_000);
});
