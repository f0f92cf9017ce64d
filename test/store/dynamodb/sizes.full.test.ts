/** What is large: payloads, fan-outs with heartbeats, and what a removal leaves of them. */
import { afterAll, beforeAll, describe, test } from "bun:test";
import {
  type Ministack,
  ministackMissing,
  startMinistack,
} from "../../support/brokers/ministack.ts";
import { openEmptyDynamo, scanDynamo } from "../../support/dynamodb.ts";
import { recordsSizes } from "../records/size-suite.ts";

const startMs = 120_000;
const missing = await ministackMissing();

if (missing !== undefined) test.skip(`sizes on DynamoDB (${missing})`, () => {});
else {
  describe("DynamoDB holds", () => {
    let running: Ministack;
    beforeAll(async () => {
      running = await startMinistack();
    }, startMs);
    afterAll(() => running.stop());
    recordsSizes(async () => {
      const namespace = `sizes-${crypto.randomUUID().slice(0, 8)}`;
      const driver = await openEmptyDynamo(running.endpoint, { namespace, partitions: 1 });
      const left = async (id: string) =>
        (await scanDynamo(running.endpoint)).filter(
          ({ pk, sk }) => pk.startsWith(`${namespace}/x/`) && pk.endsWith(id) && sk !== "h",
        );
      return { driver, left };
    });
  });
}
