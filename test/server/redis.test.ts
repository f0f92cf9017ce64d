/** Several servers on one Redis: they share work, wake each other, and outlive each other. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { median } from "../../scripts/bench/support.ts";
import { limits } from "../../src/base/limits.ts";
import { watchLag } from "../support/lag.ts";
import {
  call,
  createWorker,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
  untilEvent,
} from "../support/orchy.ts";
import { startProcess } from "../support/process.ts";
import { type RedisServer, redisMissing, startRedis, until, usedMemory } from "../support/redis.ts";
import { complete, done, pollOne, single } from "./calls.ts";

/** Three user actions, one after the other. */
const steps = (name: string) => ({
  name,
  rootAction: "a",
  actions: ["a", "b", "c"].map((id, i, all) => ({
    id,
    type: "user",
    name: `step-${id}`,
    ...(i + 1 < all.length && { next: { default: all[i + 1] } }),
  })),
});

describe.skipIf(redisMissing !== undefined)("servers on one Redis", () => {
  let redis: RedisServer;
  let store: string;
  let servers: readonly [TestServer, TestServer];

  beforeAll(async () => {
    redis = await startRedis();
    store = `redis://127.0.0.1:${redis.port}`;
    servers = [await startTestServer({ store }), await startTestServer({ store })];
  }, 120_000);
  afterAll(async () => {
    for (const server of servers) await server.remove();
    await redis.stop();
  });

  test("a task started on one comes at once to a poll that waits at the other", async () => {
    const [one, other] = servers;
    await saveWorkflow(one, single("far"));
    const times: number[] = [];
    for (let i = 0; i < 20; i++) {
      const waiting = pollOne(other, "far");
      const id = await startExecution(one, "far", { i });
      const startedMs = performance.now();
      const task = await waiting;
      expect(task.executionId).toBe(id);
      times.push(performance.now() - startedMs);
      expect(await complete(i % 2 === 0 ? one : other, done(task))).toEqual(["ACCEPTED"]);
      expect((await untilEnded(one, id)).status).toBe("COMPLETED");
    }
    // Longer than a sweep of one partition, much shorter than one of all 64, which most would wait for.
    expect(median(times)).toBeLessThan(2_000);
  }, 120_000);

  test("a workflow of several steps runs with workers at both", async () => {
    const [one, other] = servers;
    await saveWorkflow(one, steps("steps"));
    const workers = [createWorker(one), createWorker(other)];
    for (const worker of workers) {
      for (const id of ["a", "b", "c"]) worker.action(`step-${id}`, () => id);
    }
    for (const worker of workers) await worker.start();
    const ids = await Promise.all(
      Array.from({ length: 100 }, (_, i) => startExecution(servers[i % 2] as TestServer, "steps")),
    );
    for (const [i, id] of ids.entries()) {
      const ended = await untilEnded(servers[(i + 1) % 2] as TestServer, id);
      expect([ended.status, ended.result]).toEqual(["COMPLETED", "c"]);
    }
    for (const worker of workers) await worker.stop();
  }, 120_000);

  test("a result is taken by a server whose copy of the execution is old", async () => {
    const [one, other] = servers;
    await saveWorkflow(one, steps("old"));
    const id = await startExecution(one, "old");
    const settleAt = async (server: TestServer, action: string) => {
      const task = await pollOne(server, action);
      expect(task.executionId).toBe(id);
      expect(await complete(server, done(task, action))).toEqual(["ACCEPTED"]);
    };
    await settleAt(other, "step-a");
    await settleAt(one, "step-b");
    // The other one remembers the execution as it was before the second step.
    await settleAt(other, "step-c");
    expect((await untilEnded(one, id)).status).toBe("COMPLETED");
  }, 120_000);

  test("a start that waits where its execution does not end gets the result, though it is removed", async () => {
    const [one, other] = servers;
    await saveWorkflow(one, { ...single("removed"), onSuccess: "DELETE" });
    const waiting = call(other, "POST", "/v1/executions?wait=60", { workflow: "removed" });
    expect(await complete(one, done(await pollOne(one, "removed"), 7))).toEqual(["ACCEPTED"]);
    const { status, body } = await waiting;
    expect([status, body.status, body.result]).toEqual([200, "COMPLETED", 7]);
  }, 120_000);

  test("a wait ends when another server removes its execution", async () => {
    const [one, other] = servers;
    await saveWorkflow(one, single("removed-by-hand"));
    const id = await startExecution(one, "removed-by-hand");
    const waiting = call(other, "GET", `/v1/executions/${id}/result?wait=60`);
    // By the time of this answer the other request waits.
    await call(other, "GET", `/v1/executions/${id}/result`);
    await call(one, "POST", `/v1/executions/${id}/cancel`);
    expect((await call(one, "DELETE", `/v1/executions/${id}`)).status).toBe(204);
    const { status, body } = await waiting;
    // It may have been looked at in between.
    expect(status === 200 ? body.status : body.error.code).toBeOneOf(["CANCELLED", "DELETED"]);
  }, 120_000);

  test("events at one server tell what happens at the other", async () => {
    const [one, other] = servers;
    const id = await startExecution(one, "far");
    const ended = untilEvent(other, id, ({ kind }) => kind === "execution.completed");
    const task = await pollOne(one, "far");
    await complete(one, done(task));
    await ended;
  }, 120_000);

  test("event streams that wait ask Redis for next to nothing, and hear of changes at once", async () => {
    const [one, other] = servers;
    const watched = 200;
    await saveWorkflow(one, single("watched"));
    const ids = await Promise.all(
      Array.from({ length: watched }, () => startExecution(one, "watched")),
    );
    const over = new AbortController();
    const streams = await Promise.all(
      ids.map((id) => fetch(`${other.url}/v1/executions/${id}/events`, { signal: over.signal })),
    );
    const commands = async () => {
      const stats = await redis.client.info("commandstats");
      return ["hmget", "lrange"].reduce((sum, name) => {
        const found = new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats);
        return sum + Number(found?.[1] ?? 0);
      }, 0);
    };
    // Each stream looks twice, and then rests: a beat of the looks before shows that they have ended.
    let before = await commands();
    await until(async () => {
      await Bun.sleep(limits.watchedLookMs);
      const now = await commands();
      const grown = now - before;
      before = now;
      return grown < watched;
    });
    const task = await pollOne(one, "watched");
    const ended = untilEvent(other, task.executionId, ({ kind }) => kind === "execution.completed");
    await complete(one, done(task));
    await ended;
    over.abort();
    expect(streams.every(({ status }) => status === 200)).toBe(true);
  }, 120_000);

  test.each([
    ["leaves in good order", "SIGTERM", 500],
    ["is killed", "SIGKILL", 2_500],
  ] as const)(
    "what a server has set in motion goes on when it %s",
    async (_how, signal, lateMs) => {
      const [one] = servers;
      const delay = { id: "d", type: "system", name: "delay", delaySeconds: 2.5 };
      await saveWorkflow(one, { name: "delayed", rootAction: "d", actions: [delay] });
      const other = await startProcess(store);
      const ids = await Promise.all(
        Array.from({ length: 60 }, () => startExecution(other, "delayed")),
      );
      const lag = watchLag();
      other.child.kill(signal);
      await other.child.exited;
      const views = await Promise.all(ids.map((id) => untilEnded(one, id)));
      // Each step from the clock of Redis to the commit may wait for a processor.
      const roomMs = 10 * lag();
      for (const { status, actions } of views) {
        expect(status).toBe("COMPLETED");
        const { startedAt, endedAt } = actions[0];
        const tookMs = new Date(endedAt).getTime() - new Date(startedAt).getTime();
        expect(tookMs).toBeGreaterThanOrEqual(2_500);
        expect(tookMs - 2_500).toBeLessThan(lateMs + roomMs);
      }
    },
    120_000,
  );
});

describe.skipIf(redisMissing !== undefined)("a Redis that is nearly full", () => {
  test("takes no new starts, while what runs goes on and ends", async () => {
    const redis = await startRedis({ maxmemory: "40mb" });
    const server = await startTestServer({ store: `redis://127.0.0.1:${redis.port}` });
    try {
      await saveWorkflow(server, single("near"));
      const id = await startExecution(server, "near");
      const fill = Array.from({ length: 36 }, (_, i) => `foreign${i}`);
      const megabyte = "x".repeat(1024 * 1024);
      for (const name of fill) {
        const used = await usedMemory(redis.client);
        if (used < 0.84 * 40 * 1024 * 1024) await redis.client.set(name, megabyte);
      }
      const start = { method: "POST", body: '{"workflow":"near"}' };
      const headers = { "content-type": "application/json" };
      const refused = async () => {
        const answer = await fetch(`${server.url}/v1/executions`, { ...start, headers });
        return { status: answer.status, retryAfter: answer.headers.get("retry-after") };
      };
      // What was read of its memory counts for a second.
      let answer = await refused();
      while (answer.status !== 503) answer = await refused();
      expect(Number(answer.retryAfter)).toBeGreaterThan(0);
      expect((await call(server, "GET", "/health/ready")).status).toBe(503);
      expect(await complete(server, done(await pollOne(server, "near")))).toEqual(["ACCEPTED"]);
      expect((await untilEnded(server, id)).status).toBe("COMPLETED");
      await redis.client.del(...fill);
      expect((await call(server, "GET", "/health/ready")).status).toBe(200);
    } finally {
      await server.remove();
      await redis.stop();
    }
  }, 120_000);
});
