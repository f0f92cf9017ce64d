/** Random operations on the memory store and on Cassandra, answer by answer. */
import { openCassandraDriver } from "../../../src/store/cassandra/driver.ts";
import { cassandra } from "../../support/cassandra.ts";
import { describeOn } from "../../support/on-service.ts";
import { recordsDifferential, seedsFrom } from "../differential/suites.ts";

await describeOn(cassandra, { title: "Cassandra", skipped: "the Cassandra store" }, (running) => {
  let namespaces = 0;
  recordsDifferential(
    "answers as the memory store does",
    async ({ partitions }) => ({
      driver: await openCassandraDriver(running().url("differential"), {
        namespace: `seed-${++namespaces}`,
        partitions,
      }),
      cleanUp: async () => {},
    }),
    seedsFrom(4_020, 20),
  );
});
