/** Operations cost what the design says, in requests and capacity units. */
import { expect, test } from "bun:test";
import { dynamoCosts } from "../../../scripts/dynamodb-costs.ts";
import { ministack } from "../../support/dynamodb.ts";
import { describeOn } from "../../support/on-service.ts";

await describeOn(ministack, { title: "DynamoDB", skipped: "costs on DynamoDB" }, (running) => {
  test("costs at most one request and one unit more than planned", async () => {
    const costs = await dynamoCosts(running().endpoint);
    expect(costs.length).toBe(9);
    const above = costs.filter(
      ({ planned, each }) => each.requests > planned.requests + 1 || each.units > planned.units + 1,
    );
    expect(above).toEqual([]);
    const step = costs.find(({ operation }) => operation === "handed-over step");
    expect(step).toMatchObject({ each: { requests: 1 } });
  });
});
