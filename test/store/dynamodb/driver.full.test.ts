/** The driver of DynamoDB does what the records store relies on. */
import { dynamos } from "../../support/dynamodb.ts";
import { describeOn } from "../../support/on-service.ts";
import { recordsDriverSuite } from "../records/driver-suite.ts";

for (const [name, service] of dynamos) {
  await describeOn(service, { title: name, skipped: `the driver of ${name}` }, (running) => {
    recordsDriverSuite(`the driver of ${name}`, async (options) => ({
      driver: await running().open(options),
      cleanUp: async () => {},
    }));
  });
}
