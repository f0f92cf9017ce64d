/** Nodes whose clocks are apart: the one in the middle counts, and operators hear of the others. */
import { expect, test } from "bun:test";
import type { Redis } from "ioredis";
import { systemClock } from "../../src/base/clock.ts";
import { NodeClock } from "../../src/store/redis/node-clock.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { HandClock } from "../support/hand-clock.ts";
import { redisMissing, startRedis } from "../support/redis.ts";
import { clocksFixed, makeShiftedClock } from "../support/shifted-clock.ts";

test.skipIf(redisMissing !== undefined || clocksFixed !== undefined)(
  "a node that is off is told of by its name, until it is right",
  async () => {
    const shifted = makeShiftedClock(-1_500);
    const nodes = [await startRedis(), await startRedis(), await startRedis({}, shifted)];
    const wrong = `127.0.0.1:${nodes[2]?.port}`;
    const told: string[] = [];
    const log = createLogger({
      level: "warn",
      clock: systemClock,
      write: (line) => told.push(JSON.parse(line).message),
    });
    const clock = new NodeClock(() => nodes.map(({ client }) => client), systemClock, log);
    for (let i = 0; i < 2; i++) await clock.measure();
    // A busy machine measures less exactly; the one that is off would be 1,500 off.
    expect(Math.abs(clock.offset)).toBeLessThan(700);
    expect(clock.complaint).toMatch(new RegExp(`at ${wrong} is \\d{3,4} ms behind the others`));
    shifted.set(0);
    await clock.measure();
    expect(clock.complaint).toBeUndefined();
    expect(told).toEqual([expect.stringContaining(wrong), "The clocks of Redis agree again."]);
    clock.close();
    for (const node of nodes) await node.stop();
    shifted.remove();
  },
  120_000,
);

/** A node with a right clock, at the other end of a link that takes this long each way. */
function nodeAt(clock: HandClock, link: { ms: number }): Redis {
  return {
    options: { host: "far", port: 6379 },
    async time() {
      clock.elapsedMs += link.ms;
      const now = clock.now();
      clock.elapsedMs += link.ms;
      return [Math.floor(now / 1_000), (now % 1_000) * 1_000];
    },
  } as unknown as Redis;
}

test("a slow link is told of with how slow it is, and refused where nothing can be done over it", async () => {
  const clock = new HandClock();
  const told: string[] = [];
  const write = (line: string) => told.push(JSON.parse(line).message);
  const link = { ms: 100 };
  const nodeClock = new NodeClock(
    () => [nodeAt(clock, link)],
    clock,
    createLogger({ level: "warn", clock, write }),
  );
  const measureAt = async (ms: number) => {
    link.ms = ms;
    await nodeClock.measure();
    expect(nodeClock.offset).toBe(0);
    return { complaint: nodeClock.complaint, objection: nodeClock.objection };
  };
  expect(await measureAt(100)).toEqual({ complaint: undefined, objection: undefined });
  const slow = "The link to Redis at far:6379 is slow: a round trip takes 640 ms";
  const complaint = expect.stringContaining(slow);
  for (let i = 0; i < 2; i++) {
    expect(await measureAt(320)).toEqual({ complaint, objection: undefined });
  }
  expect((await measureAt(1_100)).objection).toContain("a round trip takes 2200 ms");
  expect(await measureAt(20)).toEqual({ complaint: undefined, objection: undefined });
  expect(told).toEqual([complaint, "The link to Redis is fast enough again."]);
  nodeClock.close();
});
