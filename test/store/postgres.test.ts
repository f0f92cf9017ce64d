/** The PostgreSQL store keeps the contract. */
import { afterAll, beforeAll, describe, test } from "bun:test";
import { openEmptyPostgres, postgresMissing, startPostgres } from "../support/postgres.ts";
import { allFacets } from "./conformance/suites.ts";
import { storeConformance } from "./conformance.ts";

const startMs = 30_000;

const skip = [
  "timers are listed in order, in pages, whether due or not",
  "a listed timer stands where it is hidden or moved to; others do not stand",
].map((test) => ({ test, reason: "PostgreSQL lists no timers: it has no bound of room" }));

if (postgresMissing !== undefined) test.skip(`the PostgreSQL store (${postgresMissing})`, () => {});
else {
  describe("PostgreSQL", () => {
    let running: Awaited<ReturnType<typeof startPostgres>>;
    beforeAll(async () => {
      running = await startPostgres();
    }, startMs);
    afterAll(() => running.stop());
    storeConformance(
      "the PostgreSQL store",
      async (options) => ({
        store: await openEmptyPostgres(running.url, options),
        cleanUp: async () => {},
      }),
      { skip, facets: allFacets.filter((facet) => facet !== "transfer") },
    );
  });
}
