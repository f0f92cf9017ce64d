/** What is large: payloads, fan-outs with heartbeats, and what a removal leaves of them. */
import { afterAll, beforeAll, describe, test } from "bun:test";
import { openCassandraDriver } from "../../../src/store/cassandra/driver.ts";
import {
  type CassandraServers,
  cassandraMissing,
  startCassandra,
} from "../../support/cassandra.ts";
import { recordsSizes } from "../records/size-suite.ts";

const startMs = 180_000;
const missing = await cassandraMissing();

if (missing !== undefined) test.skip(`sizes on Cassandra (${missing})`, () => {});
else {
  describe("Cassandra holds", () => {
    let running: CassandraServers;
    let namespaces = 0;
    beforeAll(async () => {
      running = await startCassandra();
    }, startMs);
    afterAll(() => running.stop());
    recordsSizes(async () => {
      const namespace = `sizes-${++namespaces}`;
      const driver = await openCassandraDriver(running.url("sizes"), { namespace, partitions: 1 });
      const left = async (id: string) => {
        const place = [namespace, 0, id];
        const where = "WHERE ns = ? AND p = ? AND e = ?";
        const found = await Promise.all(
          [`SELECT k FROM sizes.records ${where}`, `SELECT name FROM sizes.parts ${where}`].map(
            (query) => running.client.execute(query, place, { prepare: true }),
          ),
        );
        return found.flatMap(({ rows }) => rows).filter(({ k }) => k !== "");
      };
      return { driver, left };
    });
  });
}
