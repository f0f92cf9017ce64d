/**
 * What only a cluster can get wrong: slots that are on their way, and a start before it is whole.
 */
import { describe, expect, test } from "bun:test";
import { partitionTags, slotOf } from "../../src/store/redis/keys.ts";
import { openRedisStore } from "../../src/store/redis/open.ts";
import {
  type RedisServer,
  redisMissing,
  startCluster,
  startLoneCluster,
  until,
} from "../support/redis.ts";
import { createRequest, start } from "./conformance/subject.ts";

const partitions = 4;
const namespace = "moved";

async function idOf({ client }: RedisServer): Promise<string> {
  return (await client.call("CLUSTER", "MYID")) as string;
}

/** The keys of the slot that the node has and that are wanted. */
async function migrate(
  slot: number,
  { from, to }: { from: RedisServer; to: RedisServer },
  wanted: (key: string) => boolean,
): Promise<void> {
  const keys = (await from.client.call("CLUSTER", "GETKEYSINSLOT", `${slot}`, "1000")) as string[];
  const moved = keys.filter(wanted);
  const place = ["127.0.0.1", `${to.port}`, "", "0", "5000"];
  await from.client.call("MIGRATE", ...place, "KEYS", ...moved);
}

describe.skipIf(redisMissing !== undefined)("a Redis cluster", () => {
  test("whose slot is on its way shows all of its partition, or nothing", async () => {
    const cluster = await startCluster();
    const hosts = cluster.nodes.map(({ port }) => `127.0.0.1:${port}`);
    const store = await openRedisStore(`redis-cluster://${hosts.join(",")}`, {
      namespace,
      partitions,
      clockCheck: false,
    });
    const e = await start(store, "here");
    const slot = slotOf(partitionTags(partitions)[e.key.partition] as string);
    const masters = cluster.nodes.slice(0, 3);
    const has = async ({ client }: RedisServer) =>
      (await client.call("CLUSTER", "COUNTKEYSINSLOT", `${slot}`)) !== 0;
    const owns = await Promise.all(masters.map(has));
    const from = masters[owns.indexOf(true)] as RedisServer;
    const to = masters[owns.indexOf(false)] as RedisServer;
    const [fromId, toId] = [await idOf(from), await idOf(to)];

    await to.client.call("CLUSTER", "SETSLOT", `${slot}`, "IMPORTING", fromId);
    await from.client.call("CLUSTER", "SETSLOT", `${slot}`, "MIGRATING", toId);
    // The execution stays behind for a while; what it is listed in goes first.
    await migrate(slot, { from, to }, (key) => !key.includes(":x:"));
    const work = Promise.all([
      store.load({ key: e.key }),
      store.create(createRequest("here", { commitId: "again" })),
      e.try({ history: ["1"] }),
    ]);
    const refusals = async () => Number(/TRYAGAIN:count=(\d+)/.exec(await to.client.info())?.[1]);
    await until(async () => (await refusals()) >= 3);
    await migrate(slot, { from, to }, () => true);
    for (const { client } of [to, from, ...masters]) {
      await client.call("CLUSTER", "SETSLOT", `${slot}`, "NODE", toId);
    }
    const [loaded, created, committed] = await work;
    expect(loaded.outcome).toBe("loaded");
    expect(created.outcome).toBe("exists");
    expect(committed.outcome).toBe("committed");
    expect((await store.history({ key: e.key, after: 0, limit: 9 })).length).toBe(1);
    await store.close();
    await cluster.stop();
  }, 120_000);

  test("of which a master hangs still says how full the others are", async () => {
    const cluster = await startCluster({ maxmemory: "100mb", "cluster-node-timeout": "30000" });
    const hosts = cluster.nodes.map(({ port }) => `127.0.0.1:${port}`);
    const store = await openRedisStore(`redis-cluster://${hosts.join(",")}`, {
      namespace,
      partitions,
      clockCheck: false,
    });
    const { pid } = cluster.nodes[0] as RedisServer;
    process.kill(pid, "SIGSTOP");
    const { used } = await store.pressure().finally(() => process.kill(pid, "SIGCONT"));
    expect(used).toBeGreaterThan(0);
    expect(used).toBeLessThan(1);
    await store.close();
    await cluster.stop();
  }, 120_000);

  test("that becomes whole while a server starts is waited for", async () => {
    const lone = await startLoneCluster();
    await lone.client.call("CLUSTER", "DELSLOTS", "0");
    const state = async (what: string) => (await lone.client.cluster("INFO")).includes(what);
    await until(() => state("cluster_state:fail"));
    await lone.client.config("RESETSTAT");
    const opening = openRedisStore(`redis-cluster://127.0.0.1:${lone.port}`, { namespace });
    const asked = async () =>
      (await lone.client.info("commandstats")).includes("cmdstat_cluster|info:");
    await until(asked);
    await lone.client.call("CLUSTER", "ADDSLOTS", "0");
    await (await opening).close();
    await lone.stop();
  }, 120_000);
});
