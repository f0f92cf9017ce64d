/** Operations cost what the design says, in requests and capacity units. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { measureCosts } from "../../../scripts/dynamodb-costs.ts";
import {
  type Ministack,
  ministackMissing,
  startMinistack,
} from "../../support/brokers/ministack.ts";

const startMs = 120_000;
const missing = await ministackMissing();

if (missing !== undefined) test.skip(`costs on DynamoDB (${missing})`, () => {});
else {
  describe("DynamoDB", () => {
    let running: Ministack;
    beforeAll(async () => {
      running = await startMinistack();
    }, startMs);
    afterAll(() => running.stop());

    test("costs at most one request and one unit more than planned", async () => {
      const costs = await measureCosts(running.endpoint);
      expect(costs.length).toBe(9);
      const above = costs.filter(
        ({ planned, requests, units }) =>
          requests > planned.requests + 1 || units > planned.units + 1,
      );
      expect(above).toEqual([]);
      const step = costs.find(({ operation }) => operation === "handed-over step");
      expect(step).toMatchObject({ requests: 1 });
    });
  });
}
