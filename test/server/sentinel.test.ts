/** Real sentinels over a master and its replica: when another becomes master, work goes on there. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  call,
  createWorker,
  saveWorkflow,
  startTestServer,
  type TestServer,
} from "../support/orchy.ts";
import {
  type RedisServer,
  redisMissing,
  startRedis,
  startSentinel,
  until,
} from "../support/redis.ts";
import { single } from "./calls.ts";

/** Down after 1 s (see startSentinel), an election, and at worst the silence that a client waits for. */
const goesOnWithinMs = 60_000;
/** What was acknowledged so shortly before may not have reached the replica. */
const replicationLagMs = 3_000;
const demotionMs = 15_000;

interface Started {
  readonly id: string;
  readonly atMs: number;
}

describe.skipIf(redisMissing !== undefined)("behind sentinels", () => {
  let redis: RedisServer[] = [];
  let sentinels: RedisServer[] = [];
  let servers: TestServer[] = [];
  const started: Started[] = [];

  beforeAll(async () => {
    const master = await startRedis({ "repl-diskless-sync-delay": "0" });
    const replica = await startRedis({
      "repl-diskless-sync-delay": "0",
      replicaof: `127.0.0.1 ${master.port}`,
    });
    redis = [master, replica];
    await until(async () => (await replica.client.info()).includes("master_link_status:up"));
    sentinels = await Promise.all([1, 2, 3].map(() => startSentinel(master.port, { quorum: 2 })));
    await until(knowEachOther);
    const hosts = sentinels.map(({ port }) => `127.0.0.1:${port}`).join(",");
    const store = `redis-sentinel://${hosts}/main`;
    servers = [await startTestServer({ store }), await startTestServer({ store })];
    await saveWorkflow(servers[0] as TestServer, single("step"));
  }, 120_000);

  afterAll(async () => {
    for (const server of servers) await server.remove();
    for (const one of [...sentinels, ...redis]) await one.stop();
  });

  async function knowEachOther(): Promise<boolean> {
    const views = await Promise.all(
      sentinels.map(async ({ client }) => [
        ((await client.call("SENTINEL", "SENTINELS", "main")) as unknown[]).length,
        ((await client.call("SENTINEL", "REPLICAS", "main")) as unknown[]).length,
      ]),
    );
    return views.every(([others, replicas]) => others === 2 && replicas === 1);
  }

  async function masterPort(): Promise<number> {
    const client = (sentinels[0] as RedisServer).client;
    const [, port] = (await client.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main")) as string[];
    return Number(port);
  }

  /** Starts at both servers in turn, until it is stopped. */
  function startLoad(): { stop(): Promise<void> } {
    let isStopped = false;
    const loop = async (server: TestServer) => {
      while (!isStopped) {
        const { status, body } = await call(server, "POST", "/v1/executions", { workflow: "step" });
        if (status === 202) started.push({ id: body.id, atMs: performance.now() });
        else expect(status).toBe(503);
      }
    };
    const loops = Promise.all(servers.map(loop));
    return {
      async stop() {
        isStopped = true;
        await loops;
      },
    };
  }

  async function statusOf(id: string): Promise<string> {
    const { status, body } = await call(servers[0] as TestServer, "GET", `/v1/executions/${id}`);
    return status === 404 ? "lost" : body.status;
  }

  /** Under load, until starts are taken by another master and everything has ended. */
  async function expectGoesOn(changeMaster: () => Promise<void>): Promise<void> {
    const workers = servers.map((server) => createWorker(server).action("step", () => "done"));
    for (const worker of workers) await worker.start();
    const load = startLoad();
    const before = await masterPort();
    const count = started.length;
    await until(async () => started.length > count + 50);
    const changedAt = performance.now();
    await changeMaster();
    await until(async () => (await masterPort()) !== before);
    const promotedAt = performance.now();
    const startedOn = (server: TestServer) =>
      call(server, "POST", "/v1/executions", { workflow: "step" }).then(({ status, body }) => {
        if (status === 202) started.push({ id: body.id, atMs: performance.now() });
        return status === 202;
      });
    for (const server of servers) await until(() => startedOn(server), goesOnWithinMs);
    await load.stop();
    const open = new Map(started.map((one) => [one.id, one]));
    const lost: Started[] = [];
    await until(async () => {
      for (const [id, one] of open) {
        const status = await statusOf(id);
        if (status === "RUNNING") return false;
        if (status === "lost") lost.push(one);
        else expect(status).toBe("COMPLETED");
        open.delete(id);
      }
      return true;
    }, 120_000);
    for (const { atMs } of lost) {
      expect(atMs).toBeGreaterThan(changedAt - replicationLagMs);
      // A master that has not yet heard that it is none any more takes what it is given.
      expect(atMs).toBeLessThan(promotedAt + demotionMs);
    }
    started.length = 0;
    for (const worker of workers) await worker.stop();
  }

  const portOf = (port: number) => redis.find((one) => one.port === port) as RedisServer;

  test("a failover that is asked for", async () => {
    await expectGoesOn(async () => {
      await (sentinels[0] as RedisServer).client.call("SENTINEL", "FAILOVER", "main");
    });
    await until(async () =>
      (await portOf(await masterPort()).client.info()).includes("state=online"),
    );
  }, 120_000);

  test("a master that hangs", async () => {
    const hung = portOf(await masterPort());
    await expectGoesOn(async () => {
      process.kill(hung.pid, "SIGSTOP");
    });
    process.kill(hung.pid, "SIGCONT");
    await until(
      async () => (await portOf(await masterPort()).client.info()).includes("state=online"),
      120_000,
    );
  }, 120_000);

  test("a master that is killed", async () => {
    await expectGoesOn(async () => portOf(await masterPort()).kill());
  }, 120_000);
});
