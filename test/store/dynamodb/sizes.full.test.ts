/** What is large: payloads, fan-outs with heartbeats, and what a removal leaves of them. */
import { ministack, openEmptyDynamo, scanDynamo } from "../../support/dynamodb.ts";
import { describeOn } from "../../support/on-service.ts";
import { recordsSizes } from "../records/size-suite.ts";

await describeOn(
  ministack,
  { title: "DynamoDB holds", skipped: "sizes on DynamoDB" },
  (running) => {
    recordsSizes(async () => {
      const namespace = `sizes-${crypto.randomUUID().slice(0, 8)}`;
      const driver = await openEmptyDynamo(running().endpoint, { namespace, partitions: 1 });
      const left = async (id: string) =>
        (await scanDynamo(running().endpoint)).filter(
          ({ pk, sk }) => pk.startsWith(`${namespace}/x/`) && pk.endsWith(id) && sk !== "h",
        );
      return { driver, left };
    });
  },
);
