/** DynamoDB for tests: one ministack, and in its table a namespace for each store. */
import { Refreshed } from "../../src/aws/credentials.ts";
import { systemClock } from "../../src/base/clock.ts";
import { type DynamoOptions, openDynamoDriver } from "../../src/store/dynamodb/open.ts";
import type { RecordsDriver } from "../../src/store/records/driver.ts";

export const testUrl = "dynamodb://eu-west-1/orchy-test";

export const testCredentials = new Refreshed(systemClock, async () => ({
  accessKeyId: "test",
  secretAccessKey: "test",
}));

let count = 0;

/** An empty one. */
export function openEmptyDynamo(
  endpoint: string,
  options: Partial<DynamoOptions> = {},
): Promise<RecordsDriver> {
  count += 1;
  const namespace = `test-${count}`;
  return openDynamoDriver(testUrl, {
    namespace,
    dynamodbEndpoint: endpoint,
    credentials: testCredentials,
    ...options,
  });
}
