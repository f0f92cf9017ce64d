/** Connections that sentinels lead to: cut at any moment, and sentinels that hang. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { openRedisStore } from "../../src/store/redis/open.ts";
import type { RedisStore } from "../../src/store/redis/redis-store.ts";
import {
  type RedisServer,
  redisMissing,
  startRedis,
  startSentinel,
  until,
} from "../support/redis.ts";
import { createRequest } from "./conformance/subject.ts";

describe.skipIf(redisMissing !== undefined)("behind sentinels", () => {
  let master: RedisServer;
  let sentinels: RedisServer[];
  let store: RedisStore;

  beforeAll(async () => {
    master = await startRedis();
    sentinels = [await startSentinel(master.port), await startSentinel(master.port)];
    const hosts = sentinels.map(({ port }) => `127.0.0.1:${port}`);
    const url = `redis-sentinel://${hosts.join(",")}/main`;
    store = await openRedisStore(url, { namespace: "s", partitions: 4, clockCheck: false });
  });

  afterAll(async () => {
    await store.close();
    for (const one of [...sentinels, master]) await one.stop();
  });

  /** As sentinels do to one that is a master no more. */
  async function cut(): Promise<void> {
    const { client } = master;
    const kill = (type: string) => client.call("CLIENT", "KILL", "TYPE", type, "SKIPME", "yes");
    await Promise.all(["normal", "pubsub"].map(kill));
  }

  test("wake-ups are heard again, however often both connections are cut at once", async () => {
    let heard = 0;
    await store.onWake(() => {
      heard += 1;
    });
    const isHeard = async () => {
      heard = 0;
      for (const channel of (await master.client.call("PUBSUB", "SHARDCHANNELS")) as string[]) {
        await master.client.spublish(channel, "q");
      }
      await Bun.sleep(10);
      return heard > 0;
    };
    for (let i = 0; i < 40; i++) {
      await cut();
      await until(isHeard, 20_000);
    }
  }, 120_000);

  test("one that hangs is passed over", async () => {
    const { pid } = sentinels[1] as RedisServer;
    process.kill(pid, "SIGSTOP");
    try {
      for (let i = 0; i < 4; i++) {
        await cut();
        const { key } = createRequest("none");
        const isThere = () => store.load({ key }).then(({ outcome }) => outcome === "not_found");
        await Bun.sleep(200);
        await until(() => isThere().catch(() => false), 30_000);
      }
    } finally {
      process.kill(pid, "SIGCONT");
    }
    expect(await store.pressure()).toMatchObject({ used: 0 });
  }, 120_000);
});
