/** Random operations on the memory store and on DynamoDB, answer by answer. */
import { dynamo } from "../../support/dynamodb.ts";
import { describeOn } from "../../support/on-service.ts";
import { recordsDifferential, seedsFrom } from "../differential/suites.ts";

await describeOn(dynamo, { title: "DynamoDB", skipped: "the DynamoDB store" }, (running) => {
  recordsDifferential(
    "answers as the memory store does",
    async (options) => ({
      driver: await running().open(options),
      cleanUp: async () => {},
    }),
    seedsFrom(3_000, 50),
  );
});
