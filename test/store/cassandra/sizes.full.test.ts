/** What is large: payloads, fan-outs with heartbeats, and what a removal leaves of them. */
import { openCassandraDriver } from "../../../src/store/cassandra/driver.ts";
import { cassandra } from "../../support/cassandra.ts";
import { describeOn } from "../../support/on-service.ts";
import { recordsSizes } from "../records/size-suite.ts";

await describeOn(
  cassandra,
  { title: "Cassandra holds", skipped: "sizes on Cassandra" },
  (running) => {
    let namespaces = 0;
    recordsSizes(async () => {
      const namespace = `sizes-${++namespaces}`;
      const driver = await openCassandraDriver(running().url("sizes"), {
        namespace,
        partitions: 1,
      });
      const left = async (id: string) => {
        const place = [namespace, 0, id];
        const where = "WHERE ns = ? AND p = ? AND e = ?";
        const found = await Promise.all(
          [`SELECT k FROM sizes.records ${where}`, `SELECT name FROM sizes.parts ${where}`].map(
            (query) => running().client.execute(query, place, { prepare: true }),
          ),
        );
        return found.flatMap(({ rows }) => rows).filter(({ k }) => k !== "");
      };
      return { driver, left };
    });
  },
);
