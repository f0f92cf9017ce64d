/** The DynamoDB store keeps the contract. */
import { afterAll, beforeAll, describe, test } from "bun:test";
import { openRecordsStore } from "../../../src/store/records/records-store.ts";
import { dynamoMissing, startDynamo, type TestDynamo } from "../../support/dynamodb.ts";
import { HandClock } from "../../support/hand-clock.ts";
import { storeConformance } from "../conformance.ts";
import { recordsConformance } from "../records/skips.ts";

const startMs = 120_000;
const missing = await dynamoMissing();

if (missing !== undefined) test.skip(`the DynamoDB store (${missing})`, () => {});
else {
  describe("DynamoDB", () => {
    let running: TestDynamo;
    beforeAll(async () => {
      running = await startDynamo();
    }, startMs);
    afterAll(() => running.stop());
    storeConformance(
      "the DynamoDB store",
      async (options) => {
        const driver = await running.open(options);
        // Tests begin at the moment of the clock: what is asked without a moment is asked then.
        const store = openRecordsStore(driver, { nonce: "n", clock: new HandClock() });
        return { store, cleanUp: async () => {} };
      },
      recordsConformance,
    );
  });
}
