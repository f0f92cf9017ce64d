/** The DynamoDB store keeps the contract. */
import { openRecordsStore } from "../../../src/store/records/records-store.ts";
import { dynamo } from "../../support/dynamodb.ts";
import { HandClock } from "../../support/hand-clock.ts";
import { describeOn } from "../../support/on-service.ts";
import { storeConformance } from "../conformance.ts";
import { recordsConformance } from "../records/skips.ts";

await describeOn(dynamo, { title: "DynamoDB", skipped: "the DynamoDB store" }, (running) => {
  storeConformance(
    "the DynamoDB store",
    async (options) => {
      const driver = await running().open(options);
      // Tests begin at the moment of the clock: what is asked without a moment is asked then.
      const store = openRecordsStore(driver, { nonce: "n", clock: new HandClock() });
      return { store, cleanUp: async () => {} };
    },
    recordsConformance,
  );
});
