/** The Cassandra store keeps the contract. */
import { afterAll, beforeAll, describe, test } from "bun:test";
import { openCassandraStore } from "../../../src/store/cassandra/open.ts";
import {
  type CassandraServers,
  cassandraMissing,
  startCassandra,
} from "../../support/cassandra.ts";
import { HandClock } from "../../support/hand-clock.ts";
import { storeConformance } from "../conformance.ts";
import { recordsConformance } from "../records/skips.ts";

const startMs = 180_000;
const missing = await cassandraMissing();

if (missing !== undefined) test.skip(`the Cassandra store (${missing})`, () => {});
else {
  describe("Cassandra", () => {
    let running: CassandraServers;
    let namespaces = 0;
    beforeAll(async () => {
      running = await startCassandra();
    }, startMs);
    afterAll(() => running.stop());
    storeConformance(
      "the Cassandra store",
      async ({ partitions }) => ({
        store: await openCassandraStore(running.url("contract"), {
          namespace: `contract-${++namespaces}`,
          // Tests begin at the moment of the clock: what is asked without a moment is asked then.
          clock: new HandClock(),
          partitions,
        }),
        cleanUp: async () => {},
      }),
      recordsConformance,
    );
  });
}
