/** Nodes whose clocks are apart: the one in the middle counts, and operators hear of the others. */
import { expect, test } from "bun:test";
import { systemClock } from "../../src/clock.ts";
import { createLogger } from "../../src/log.ts";
import { NodeClock } from "../../src/store/redis/node-clock.ts";
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
      ...{ level: "warn", clock: systemClock },
      write: (line) => told.push(JSON.parse(line).message),
    });
    const clock = new NodeClock(() => nodes.map(({ client }) => client), systemClock, log);
    for (let i = 0; i < 2; i++) await clock.measure();
    expect(Math.abs(clock.offset)).toBeLessThan(200);
    expect(clock.complaint).toMatch(new RegExp(`at ${wrong} is 1[45]\\d\\d ms behind the others`));
    shifted.set(0);
    await clock.measure();
    expect(clock.complaint).toBeUndefined();
    expect(told).toEqual([expect.stringContaining(wrong), "The clocks of Redis agree again."]);
    clock.close();
    for (const node of nodes) await node.stop();
    shifted.remove();
  },
  20_000,
);
