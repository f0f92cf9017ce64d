/** The driver for Cassandra does what the records store relies on. */
import { openCassandraDriver } from "../../../src/store/cassandra/driver.ts";
import { cassandra } from "../../support/cassandra.ts";
import { describeOn } from "../../support/on-service.ts";
import { recordsDriverSuite } from "../records/driver-suite.ts";

await describeOn(
  cassandra,
  { title: "Cassandra", skipped: "the driver for Cassandra" },
  (running) => {
    let namespaces = 0;
    recordsDriverSuite("the driver for Cassandra", async ({ partitions }) => ({
      driver: await openCassandraDriver(running().url("driver"), {
        namespace: `suite-${++namespaces}`,
        partitions,
      }),
      cleanUp: async () => {},
    }));
  },
);
