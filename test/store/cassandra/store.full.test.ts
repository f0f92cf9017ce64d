/** The Cassandra store keeps the contract. */
import { test } from "bun:test";
import { openCassandraDriver } from "../../../src/store/cassandra/driver.ts";
import { openCassandraStore } from "../../../src/store/cassandra/open.ts";
import { openRecordsStore } from "../../../src/store/records/records-store.ts";
import { cassandra } from "../../support/cassandra.ts";
import { HandClock } from "../../support/hand-clock.ts";
import { describeOn } from "../../support/on-service.ts";
import { storeConformance } from "../conformance.ts";
import { followsTheStoresClock } from "../records/clock-suite.ts";
import { recordsConformance } from "../records/skips.ts";
import { withoutClock } from "../records/without-clock.ts";

await describeOn(cassandra, { title: "Cassandra", skipped: "the Cassandra store" }, (running) => {
  let namespaces = 0;
  storeConformance(
    "the Cassandra store",
    async ({ partitions }) => {
      const namespace = `contract-${++namespaces}`;
      const driver = await openCassandraDriver(running().url("contract"), {
        namespace,
        partitions,
      });
      const clock = new HandClock();
      const store = openRecordsStore(withoutClock(driver), { nonce: namespace, clock });
      return { store, cleanUp: async () => {} };
    },
    recordsConformance,
  );

  test("servers whose clocks are wrong follow its clock", async () => {
    const url = running().url("contract");
    await followsTheStoresClock((clock) => openCassandraStore(url, { namespace: "clocks", clock }));
  });
});
