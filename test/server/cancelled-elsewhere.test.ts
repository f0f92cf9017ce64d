/** Workers hear of a cancelled task at once, whichever servers gave it out, cancel it and hold their poll. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
} from "../support/orchy.ts";
import { type RedisServer, redisMissing, startRedis, until } from "../support/redis.ts";
import { pollOne, service, single, untilPolled } from "./calls.ts";

const names = ["a", "b", "c"] as const;
type Name = (typeof names)[number];

describe.skipIf(redisMissing !== undefined)("three servers on one Redis", () => {
  let redis: RedisServer;
  let servers: Readonly<Record<Name, TestServer>>;

  /** Each has listed the live servers since: that is done after a beat and before the next. */
  async function untilAcquainted(): Promise<void> {
    const seen = new Map<string, Set<string>>();
    await until(async () => {
      const beats = await redis.client.hgetallBuffer("orchy:{meta}:servers");
      for (const [id, beat] of Object.entries(beats)) {
        seen.set(id, (seen.get(id) ?? new Set()).add(beat.toString("hex")));
      }
      return seen.size === names.length && [...seen.values()].every(({ size }) => size > 2);
    });
  }

  beforeAll(async () => {
    redis = await startRedis();
    const store = `redis://127.0.0.1:${redis.port}`;
    const start = () => startTestServer({ store });
    servers = { a: await start(), b: await start(), c: await start() };
    await untilAcquainted();
  }, 120_000);
  afterAll(async () => {
    for (const server of Object.values(servers)) await server.remove();
    await redis.stop();
  });

  test.each<[given: Name, parked: Name, cancelling: Name]>([
    ["a", "a", "a"],
    ["a", "a", "b"],
    ["a", "b", "a"],
    ["a", "b", "b"],
    ["a", "b", "c"],
  ])(
    "given out by %s, the poll parked at %s, cancelled by %s",
    async (given, parked, by) => {
      const name = `${given}-${parked}-${by}`;
      await saveWorkflow(servers[given], single(name));
      const id = await startExecution(servers[given], name);
      const { token } = await pollOne(servers[given], name, { workerId: name });
      const waiting = { actions: [`${name}-next`], workerId: name, waitSeconds: 20 };
      const answer = service(servers[parked], "Poll", waiting);
      await untilPolled(servers[parked], `${name}-next`);
      await call(servers[by], "POST", `/v1/executions/${id}/cancel`, {});
      expect(await answer).toEqual({ cancelled: [token] });
    },
    120_000,
  );
});
