/** Servers on one PostgreSQL: they share work, wake each other, and outlive its crash. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";
import { type PostgresServer, postgresMissing, startPostgres } from "../support/postgres.ts";
import { complete, done, pollOne, single } from "./calls.ts";

const name = postgresMissing === undefined ? "" : ` (${postgresMissing})`;

describe.skipIf(postgresMissing !== undefined)(`servers on one PostgreSQL${name}`, () => {
  let postgres: PostgresServer;
  let servers: readonly [TestServer, TestServer];

  beforeAll(async () => {
    postgres = await startPostgres();
    const store = postgres.url;
    servers = [await startTestServer({ store }), await startTestServer({ store })];
  }, 60_000);
  afterAll(async () => {
    for (const server of servers) await server.remove();
    await postgres.stop();
  });

  test("a task started on one comes to a poll at the other, and is completed at either", async () => {
    const [one, other] = servers;
    await saveWorkflow(one, single("far"));
    for (let i = 0; i < 6; i++) {
      const waiting = pollOne(other, "far");
      const id = await startExecution(one, "far", { i });
      const task = await waiting;
      expect(task.executionId).toBe(id);
      expect(await complete(i % 2 === 0 ? one : other, done(task))).toEqual(["ACCEPTED"]);
      expect((await untilEnded(one, id)).status).toBe("COMPLETED");
    }
  });

  test("what was acknowledged outlives a kill of PostgreSQL, and all of it ends", async () => {
    const [one, other] = servers;
    await saveWorkflow(one, single("kept"));
    const started: string[] = [];
    const killed = Promise.withResolvers<void>();
    for (let i = 0, isUp = true; isUp; i++) {
      // The kill falls into the middle of a start, or beside it.
      if (i === 12) void postgres.kill().then(killed.resolve);
      const id = await startExecution(servers[i % 2]!, "kept", { i }).catch(() => undefined);
      if (id === undefined) isUp = false;
      else started.push(id);
    }
    await killed.promise;
    await postgres.restart();
    const ready = async (server: TestServer) =>
      (await call(server, "GET", "/health/ready")).status === 200;
    while (!((await ready(one)) && (await ready(other)))) await Bun.sleep(50);
    const left = new Set(started);
    while (left.size > 0) {
      const task = await pollOne(other, "kept");
      expect(await complete(one, done(task))).toEqual(["ACCEPTED"]);
      left.delete(task.executionId);
    }
    for (const id of started) expect((await untilEnded(one, id)).status).toBe("COMPLETED");
  }, 60_000);

  test("says how durable it is", async () => {
    const { body } = await call(servers[0], "GET", "/health/ready");
    expect(JSON.stringify(body)).toContain("no replica is synchronous");
  });
});
