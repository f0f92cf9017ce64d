/** The PostgreSQL store keeps the contract where a pooler hands out connections by the transaction. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { openPostgresStore } from "../../src/store/postgres/open.ts";
import { type Pooler, pgbouncerMissing, startPgbouncer } from "../support/pgbouncer.ts";
import {
  openEmptyPostgres,
  type PostgresServer,
  postgresMissing,
  startPostgres,
} from "../support/postgres.ts";
import { postgresConformance } from "./postgres-suite.ts";

const missing = postgresMissing ?? pgbouncerMissing;
const startMs = 30_000;

if (missing !== undefined) test.skip(`PostgreSQL behind a pooler (${missing})`, () => {});
else {
  describe("PostgreSQL behind a pooler", () => {
    let server: PostgresServer;
    let pooler: Pooler;
    beforeAll(async () => {
      server = await startPostgres();
      pooler = await startPgbouncer(server);
    }, startMs);
    afterAll(async () => {
      await pooler.stop();
      await server.stop();
    });
    postgresConformance((options) =>
      openEmptyPostgres(pooler.url, { ...options, notifies: false }),
    );

    test("where no notification comes through, it has none", async () => {
      const store = await openPostgresStore(pooler.url, { namespace: "found out" });
      expect([store.onWake, store.sendNote]).toEqual([undefined, undefined]);
      await store.close();
      const direct = await openPostgresStore(server.url, { namespace: "found out" });
      expect(direct.onWake).toBeDefined();
      await direct.close();
    });
  });
}
