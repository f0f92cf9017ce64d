/** Random operations on the memory store and on Cassandra, answer by answer. */
import { afterAll, beforeAll, describe, test } from "bun:test";
import { openCassandraDriver } from "../../../src/store/cassandra/driver.ts";
import {
  type CassandraServers,
  cassandraMissing,
  startCassandra,
} from "../../support/cassandra.ts";
import { recordsDifferential, seedsFrom } from "../differential/suites.ts";

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
    recordsDifferential(
      "answers as the memory store does",
      async ({ partitions }) => ({
        driver: await openCassandraDriver(running.url("differential"), {
          namespace: `seed-${++namespaces}`,
          partitions,
        }),
        cleanUp: async () => {},
      }),
      seedsFrom(4_020, 20),
    );
  });
}
