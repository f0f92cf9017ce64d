/** The driver of DynamoDB does what the records store relies on. */
import { afterAll, beforeAll, describe, test } from "bun:test";
import { dynamoMissing, startDynamo, type TestDynamo } from "../../support/dynamodb.ts";
import { recordsDriverSuite } from "../records/driver-suite.ts";

const startMs = 120_000;
const missing = await dynamoMissing();

if (missing !== undefined) test.skip(`the driver of DynamoDB (${missing})`, () => {});
else {
  describe("DynamoDB", () => {
    let running: TestDynamo;
    beforeAll(async () => {
      running = await startDynamo();
    }, startMs);
    afterAll(() => running.stop());
    recordsDriverSuite("the driver of DynamoDB", async (options) => ({
      driver: await running.open(options),
      cleanUp: async () => {},
    }));
  });
}
