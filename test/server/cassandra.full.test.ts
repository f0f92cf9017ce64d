/** Servers on one Cassandra: they share work, and outlive its restart. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type CassandraServers, cassandraMissing, startCassandra } from "../support/cassandra.ts";
import {
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";
import { complete, done, poll, pollOne, single } from "./calls.ts";

const missing = await cassandraMissing();
const name = missing === undefined ? "" : ` (${missing})`;

describe.skipIf(missing !== undefined)(`servers on one Cassandra${name}`, () => {
  let cassandra: CassandraServers;
  let servers: readonly [TestServer, TestServer];

  beforeAll(async () => {
    cassandra = await startCassandra();
    const store = cassandra.url("orchy");
    servers = [await startTestServer({ store }), await startTestServer({ store })];
  }, 240_000);
  afterAll(async () => {
    for (const server of servers) await server.remove();
    await cassandra.stop();
  });

  test("a task that is taken at one server is completed at either", async () => {
    const [one, other] = servers;
    await saveWorkflow(one, single("far"));
    for (let i = 0; i < 4; i++) {
      const waiting = pollOne(one, "far");
      const id = await startExecution(one, "far", { i });
      const task = await waiting;
      expect(task.executionId).toBe(id);
      expect(await complete(i % 2 === 0 ? one : other, done(task))).toEqual(["ACCEPTED"]);
      expect((await untilEnded(one, id)).status).toBe("COMPLETED");
    }
  });

  test("says how durable it is, and what to mend", async () => {
    const { body } = await call(servers[0], "GET", "/health/ready");
    expect(JSON.stringify(body)).toContain("held by one node of datacenter1");
  });

  test("what was acknowledged outlives a kill of Cassandra, and all of it ends", async () => {
    const [one, other] = servers;
    await saveWorkflow(one, single("kept"));
    const [node] = cassandra.nodes;
    const started: string[] = [];
    const killed = Promise.withResolvers<void>();
    for (let i = 0, isUp = true; isUp; i++) {
      // The kill falls into the middle of a start, or beside it.
      if (i === 8) void node!.kill().then(killed.resolve);
      const id = await startExecution(servers[i % 2]!, "kept", { i }).catch(() => undefined);
      if (id === undefined) isUp = false;
      else started.push(id);
    }
    await killed.promise;
    await node!.restart();
    const ready = async (server: TestServer) =>
      (await call(server, "GET", "/health/ready")).status === 200;
    while (!((await ready(one)) && (await ready(other)))) await Bun.sleep(50);
    const left = new Set(started);
    const work = async (at: TestServer) => {
      while (left.size > 0) {
        for (const task of await poll(at, { actions: ["kept"], waitSeconds: 1 })) {
          expect(await complete(at, done(task))).toEqual(["ACCEPTED"]);
          left.delete(task.executionId);
        }
      }
    };
    await Promise.all(servers.map(work));
    for (const id of started) expect((await untilEnded(other, id)).status).toBe("COMPLETED");
  }, 180_000);
});
