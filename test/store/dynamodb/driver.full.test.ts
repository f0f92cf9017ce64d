/** The driver of DynamoDB does what the records store relies on. */
import { dynamo } from "../../support/dynamodb.ts";
import { describeOn } from "../../support/on-service.ts";
import { recordsDriverSuite } from "../records/driver-suite.ts";

await describeOn(dynamo, { title: "DynamoDB", skipped: "the driver of DynamoDB" }, (running) => {
  recordsDriverSuite("the driver of DynamoDB", async (options) => ({
    driver: await running().open(options),
    cleanUp: async () => {},
  }));
});
