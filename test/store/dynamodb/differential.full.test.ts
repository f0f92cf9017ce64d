/** Random operations on the memory store and on DynamoDB, answer by answer. */
import { afterAll, beforeAll, describe, test } from "bun:test";
import {
  type Ministack,
  ministackMissing,
  startMinistack,
} from "../../support/brokers/ministack.ts";
import { openEmptyDynamo } from "../../support/dynamodb.ts";
import { recordsDifferential, seedsFrom } from "../differential/suites.ts";

const startMs = 120_000;
const missing = await ministackMissing();

if (missing !== undefined) test.skip(`the DynamoDB store (${missing})`, () => {});
else {
  describe("DynamoDB", () => {
    let running: Ministack;
    beforeAll(async () => {
      running = await startMinistack();
    }, startMs);
    afterAll(() => running.stop());
    recordsDifferential(
      "answers as the memory store does",
      async (options) => ({
        driver: await openEmptyDynamo(running.endpoint, options),
        cleanUp: async () => {},
      }),
      seedsFrom(3_000, 50),
    );
  });
}
