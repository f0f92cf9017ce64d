/** The driver for Cassandra does what the records store relies on. */
import { afterAll, beforeAll, describe, test } from "bun:test";
import { openCassandraDriver } from "../../../src/store/cassandra/driver.ts";
import {
  type CassandraServers,
  cassandraMissing,
  startCassandra,
} from "../../support/cassandra.ts";
import { recordsDriverSuite } from "../records/driver-suite.ts";

const startMs = 180_000;
const missing = await cassandraMissing();

if (missing !== undefined) test.skip(`the driver for Cassandra (${missing})`, () => {});
else {
  describe("Cassandra", () => {
    let running: CassandraServers;
    let namespaces = 0;
    beforeAll(async () => {
      running = await startCassandra();
    }, startMs);
    afterAll(() => running.stop());
    recordsDriverSuite("the driver for Cassandra", async ({ partitions }) => ({
      driver: await openCassandraDriver(running.url("driver"), {
        namespace: `suite-${++namespaces}`,
        partitions,
      }),
      cleanUp: async () => {},
    }));
  });
}
