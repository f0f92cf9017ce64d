/**
 * Clocks that are wrong, and clocks that are set while everything runs: of servers, and of Redis.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import {
  call,
  saveWorkflow,
  startExecution,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";
import { type ServerProcess, startProcess } from "../support/process.ts";
import { type RedisServer, redisMissing, startRedis, until } from "../support/redis.ts";
import { clocksFixed, makeShiftedClock, type ShiftedClock } from "../support/shifted-clock.ts";
import { complete, done, heartbeat, poll, pollOne, single, type Task } from "./calls.ts";

const hourMs = 3_600_000;
const minuteMs = 60_000;
/**
 * Longer than a server sleeps at most, as it may where a clock is set just then, and far from an
 * hour.
 */
const soonMs = 150_000;
/**
 * What a busy machine may add: less than the delay of 40 s, a minute or hours that are compared.
 */
const roomMs = 30_000;

const delayed = (name: string, delaySeconds: number) => ({
  name,
  rootAction: "d",
  actions: [{ id: "d", type: "system", name: "delay", delaySeconds }],
});

type Reachable = Pick<TestServer, "url">;

async function saveAll(server: Reachable): Promise<void> {
  const leased = single("leased", { heartbeatSeconds: 2, timeoutSeconds: 300 });
  for (const one of [delayed("short", 1.5), delayed("long", 40), leased, single("held")]) {
    await saveWorkflow(server as TestServer, one);
  }
}

/** How long the delay of the execution took, by the servers' time. */
async function delayOf(server: Reachable, id: string): Promise<number> {
  const { status, actions } = await untilEnded(server as TestServer, id);
  expect(status).toBe("COMPLETED");
  return Date.parse(actions[0].endedAt) - Date.parse(actions[0].startedAt);
}

async function pollLong(server: Reachable, action: string): Promise<Task> {
  for (;;) {
    const [task] = await poll(server, { actions: [action], heartbeats: true });
    if (task !== undefined) return task;
  }
}

const takesStarts = (server: Reachable) =>
  until(async () => {
    const body = { workflow: "short" };
    return (await call(server, "POST", "/v1/executions", body)).status === 202;
  }, roomMs);

describe.skipIf(redisMissing !== undefined || clocksFixed !== undefined)(
  "clocks of servers",
  () => {
    let redis: RedisServer;
    let clock: ShiftedClock;
    let servers: ServerProcess[] = [];

    beforeAll(async () => {
      redis = await startRedis();
      const store = `redis://127.0.0.1:${redis.port}`;
      clock = makeShiftedClock(hourMs);
      servers = [await startProcess(store, { env: clock.env }), await startProcess(store)];
      await saveAll(servers[0]!);
    }, 120_000);
    afterAll(async () => {
      for (const { child } of servers) child.kill();
      for (const { child } of servers) await child.exited;
      clock.remove();
      await redis.stop();
    });

    async function expectRightTime(): Promise<void> {
      const ids = await Promise.all(servers.map((one) => startExecution(one, "short")));
      for (const [i, id] of ids.entries()) {
        const other = servers[1 - i]!;
        const tookMs = await delayOf(other, id);
        expect(tookMs).toBeGreaterThanOrEqual(1_500);
        expect(tookMs).toBeLessThan(soonMs);
        const { body } = await call(other, "GET", `/v1/executions/${id}`);
        expect(Math.abs(Date.parse(body.startedAt) - Date.now())).toBeLessThan(soonMs);
      }
      // Nobody sends a heartbeat: two seconds later, and not before, another is given the task.
      const id = await startExecution(servers[1]!, "leased");
      const first = await pollOne(servers[0]!, "leased", { heartbeats: true });
      const givenMs = performance.now();
      const second = await pollLong(servers[1]!, "leased");
      const lapsedMs = performance.now() - givenMs;
      expect([first.attempt, second.attempt]).toEqual([1, 2]);
      expect(lapsedMs).toBeGreaterThan(1_900);
      expect(lapsedMs).toBeLessThan(soonMs);
      expect(await complete(servers[0]!, done(first), done(second))).toEqual(["STALE", "ACCEPTED"]);
      expect((await untilEnded(servers[0]! as never, id)).status).toBe("COMPLETED");
    }

    test("an hour apart, they keep one time", expectRightTime, 400_000);

    test.each([
      ["back by two hours", -hourMs],
      ["forward by two hours", hourMs],
      ["right", 0],
    ])(
      "one that is set %s while it runs follows at once",
      async (_how, shiftMs) => {
        const id = await startExecution(servers[0]!, "short");
        clock.set(shiftMs);
        for (const server of servers) await takesStarts(server);
        expect(await delayOf(servers[0]!, id)).toBeLessThan(soonMs);
        await expectRightTime();
      },
      400_000,
    );
  },
);

describe.skipIf(redisMissing !== undefined || clocksFixed !== undefined)(
  "the clock of Redis",
  () => {
    let redis: RedisServer;
    let clock: ShiftedClock;
    let server: ServerProcess;

    beforeEach(async () => {
      clock = makeShiftedClock();
      redis = await startRedis({}, { env: clock.env });
      server = await startProcess(`redis://127.0.0.1:${redis.port}`);
      await saveAll(server);
    }, 120_000);
    afterEach(async () => {
      server.child.kill();
      await server.child.exited;
      clock.remove();
      await redis.stop();
    });

    async function startHeld() {
      const id = await startExecution(server, "held");
      return { id, task: await pollOne(server, "held", { heartbeats: true }) };
    }

    async function expectCalm(): Promise<void> {
      await takesStarts(server);
      const startedMs = performance.now();
      expect(await delayOf(server, await startExecution(server, "short"))).toBeLessThan(roomMs);
      expect(performance.now() - startedMs).toBeLessThan(roomMs);
      const { id, task } = await startHeld();
      expect(await heartbeat(server, task.token)).toEqual(["EXTENDED"]);
      expect(await complete(server, done(task))).toEqual(["ACCEPTED"]);
      expect((await untilEnded(server as never, id)).status).toBe("COMPLETED");
    }

    test("set forward by a minute makes due what is due by it, and nothing is lost", async () => {
      const long = await startExecution(server, "long");
      const { id, task } = await startHeld();
      clock.set(minuteMs);
      const setMs = performance.now();
      await takesStarts(server);
      expect((await untilEnded(server as never, long)).status).toBe("COMPLETED");
      expect(performance.now() - setMs).toBeLessThan(roomMs);
      // The lease has lapsed by that clock as well: its worker is late, another has the task.
      const second = await pollOne(server, "held", { heartbeats: true, waitSeconds: 60 });
      expect(second.attempt).toBe(2);
      expect(await complete(server, done(task), done(second))).toEqual(["STALE", "ACCEPTED"]);
      expect((await untilEnded(server as never, id)).status).toBe("COMPLETED");
      await expectCalm();
    }, 120_000);

    test("set back by a minute holds up what was to come, and nothing else", async () => {
      const short = await startExecution(server, "short");
      const { id, task } = await startHeld();
      clock.set(-minuteMs);
      await takesStarts(server);
      expect(await heartbeat(server, task.token)).toEqual(["EXTENDED"]);
      expect(await complete(server, done(task))).toEqual(["ACCEPTED"]);
      expect((await untilEnded(server as never, id)).status).toBe("COMPLETED");
      await expectCalm();
      // Put right again, what was held up comes.
      clock.set(0);
      await until(async () => (await delayOf(server, short)) >= 1_500);
      await expectCalm();
    }, 120_000);
  },
);
