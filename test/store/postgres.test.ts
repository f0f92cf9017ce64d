/** The PostgreSQL store keeps the contract. */
import { afterAll, beforeAll, describe, test } from "bun:test";
import { openEmptyPostgres, postgresMissing, startPostgres } from "../support/postgres.ts";
import { postgresConformance } from "./postgres-suite.ts";

const startMs = 30_000;

if (postgresMissing !== undefined) test.skip(`the PostgreSQL store (${postgresMissing})`, () => {});
else {
  describe("PostgreSQL", () => {
    let running: Awaited<ReturnType<typeof startPostgres>>;
    beforeAll(async () => {
      running = await startPostgres();
    }, startMs);
    afterAll(() => running.stop());
    postgresConformance((options) => openEmptyPostgres(running.url, options));
  });
}
