/** The DynamoDB store keeps the contract. */
import { test } from "bun:test";
import { openRecordsStore } from "../../../src/store/records/records-store.ts";
import { dynamos } from "../../support/dynamodb.ts";
import { HandClock } from "../../support/hand-clock.ts";
import { describeOn } from "../../support/on-service.ts";
import { storeConformance } from "../conformance.ts";
import { followsTheStoresClock } from "../records/clock-suite.ts";
import { recordsConformance } from "../records/skips.ts";
import { withoutClock } from "../records/without-clock.ts";

for (const [name, service] of dynamos) {
  await describeOn(service, { title: name, skipped: `the ${name} store` }, (running) => {
    storeConformance(
      `the ${name} store`,
      async (options) => {
        const driver = await running().open(options);
        const clock = new HandClock();
        const store = openRecordsStore(withoutClock(driver), { nonce: "n", clock });
        return { store, cleanUp: async () => {} };
      },
      recordsConformance,
    );

    test("servers whose clocks are wrong follow its clock", async () => {
      const namespace = `clocks-${Date.now()}`;
      let servers = 0;
      await followsTheStoresClock(async (clock) => {
        servers += 1;
        const driver = await running().open({ namespace, clock });
        return openRecordsStore(driver, { nonce: `n${servers}`, clock });
      });
    });
  });
}
