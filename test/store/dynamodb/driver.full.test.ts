/** The driver of DynamoDB does what the records store relies on. */
import { afterAll, beforeAll, describe, test } from "bun:test";
import {
  type Ministack,
  ministackMissing,
  startMinistack,
} from "../../support/brokers/ministack.ts";
import { openEmptyDynamo } from "../../support/dynamodb.ts";
import { recordsDriverSuite } from "../records/driver-suite.ts";

const startMs = 120_000;
const missing = await ministackMissing();

if (missing !== undefined) test.skip(`the driver of DynamoDB (${missing})`, () => {});
else {
  describe("DynamoDB", () => {
    let running: Ministack;
    beforeAll(async () => {
      running = await startMinistack();
    }, startMs);
    afterAll(() => running.stop());
    recordsDriverSuite("the driver of DynamoDB", async (options) => ({
      driver: await openEmptyDynamo(running.endpoint, options),
      cleanUp: async () => {},
    }));
  });
}
