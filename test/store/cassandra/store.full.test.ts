/** The Cassandra store keeps the contract. */
import { openCassandraStore } from "../../../src/store/cassandra/open.ts";
import { cassandra } from "../../support/cassandra.ts";
import { HandClock } from "../../support/hand-clock.ts";
import { describeOn } from "../../support/on-service.ts";
import { storeConformance } from "../conformance.ts";
import { recordsConformance } from "../records/skips.ts";

await describeOn(cassandra, { title: "Cassandra", skipped: "the Cassandra store" }, (running) => {
  let namespaces = 0;
  storeConformance(
    "the Cassandra store",
    async ({ partitions }) => ({
      store: await openCassandraStore(running().url("contract"), {
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
