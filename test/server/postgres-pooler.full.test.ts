/** Servers on a PostgreSQL behind a pooler: no notification comes, so they wake each other. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
  untilEnded,
} from "../support/orchy.ts";
import { type Pooler, pgbouncerMissing, startPgbouncer } from "../support/pgbouncer.ts";
import { type PostgresServer, postgresMissing, startPostgres } from "../support/postgres.ts";
import { complete, done, poll, single, untilPolled } from "./calls.ts";

const missing = postgresMissing ?? pgbouncerMissing;
const name = missing === undefined ? "" : ` (${missing})`;

describe.skipIf(missing !== undefined)(`servers on a PostgreSQL behind a pooler${name}`, () => {
  let postgres: PostgresServer;
  let pooler: Pooler;
  let servers: readonly [TestServer, TestServer];

  beforeAll(async () => {
    postgres = await startPostgres();
    pooler = await startPgbouncer(postgres);
    const store = pooler.url;
    servers = [await startTestServer({ store }), await startTestServer({ store })];
  }, 60_000);
  afterAll(async () => {
    for (const server of servers) await server.remove();
    await pooler.stop();
    await postgres.stop();
  });

  test("give each other's tasks to polls that wait, and end them", async () => {
    for (const server of servers) {
      for (let known = 0; known < servers.length; await Bun.sleep(20)) {
        known = (await call(server, "GET", "/v1/servers")).body.items.length;
      }
    }
    await saveWorkflow(servers[0], single("far"));
    const waits: number[] = [];
    for (let i = 0; i < 15; i++) {
      const [here, there] = i % 2 === 0 ? servers : [servers[1], servers[0]];
      const polling = poll(there, { actions: ["far"], workerId: `w${i}`, waitSeconds: 30 });
      await untilPolled(there, "far");
      const from = performance.now();
      const id = await startExecution(here, "far");
      const [task] = await polling;
      waits.push(performance.now() - from);
      expect(task!.executionId).toBe(id);
      expect(await complete(here, done(task!))).toEqual(["ACCEPTED"]);
      expect((await untilEnded(there, id)).status).toBe("COMPLETED");
    }
    waits.sort((a, b) => a - b);
    // Half the time between two sweeps is longer.
    expect(waits[7]).toBeLessThan(3_000);
  }, 120_000);
});
