/** Random operations on the memory store and on DynamoDB, answer by answer. */
import { afterAll, beforeAll, describe, test } from "bun:test";
import { dynamoMissing, startDynamo, type TestDynamo } from "../../support/dynamodb.ts";
import { recordsDifferential, seedsFrom } from "../differential/suites.ts";

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
    recordsDifferential(
      "answers as the memory store does",
      async (options) => ({
        driver: await running.open(options),
        cleanUp: async () => {},
      }),
      seedsFrom(3_000, 50),
    );
  });
}
