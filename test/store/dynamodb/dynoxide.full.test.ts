/** The same on another imitation, written by others: what both hold is no whim of one. */
import { openRecordsStore } from "../../../src/store/records/records-store.ts";
import { dynoxide, openEmptyDynamo } from "../../support/dynamodb.ts";
import { HandClock } from "../../support/hand-clock.ts";
import { describeOn } from "../../support/on-service.ts";
import { storeConformance } from "../conformance.ts";
import { recordsDriverSuite } from "../records/driver-suite.ts";
import { recordsConformance } from "../records/skips.ts";
import { withoutClock } from "../records/without-clock.ts";

await describeOn(
  dynoxide,
  { title: "DynamoDB by dynoxide", skipped: "DynamoDB by dynoxide" },
  (running) => {
    const noTidying = async () => {};

    recordsDriverSuite("the driver on dynoxide", async (options) => ({
      driver: await openEmptyDynamo(running().endpoint, options),
      cleanUp: noTidying,
    }));

    storeConformance(
      "the store on dynoxide",
      async (options) => {
        const driver = await openEmptyDynamo(running().endpoint, options);
        const clock = new HandClock();
        const store = openRecordsStore(withoutClock(driver), { nonce: "n", clock });
        return { store, cleanUp: noTidying };
      },
      recordsConformance,
    );
  },
);
