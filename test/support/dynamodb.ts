/** DynamoDB for tests: one ministack, and in its table a namespace for each store. */
import { AwsClient } from "../../src/aws/client.ts";
import { Refreshed } from "../../src/aws/credentials.ts";
import { systemClock } from "../../src/base/clock.ts";
import { type DynamoOptions, openDynamoDriver } from "../../src/store/dynamodb/open.ts";
import type { RecordsDriver } from "../../src/store/records/driver.ts";

export const testUrl = "dynamodb://eu-west-1/orchy-test";

export const testCredentials = new Refreshed(systemClock, async () => ({
  accessKeyId: "test",
  secretAccessKey: "test",
}));

/** The keys of all items of the table, past the store. */
export async function scanDynamo(
  endpoint: string,
): Promise<readonly { readonly pk: string; readonly sk: string }[]> {
  const client = new AwsClient({
    service: "dynamodb",
    region: "eu-west-1",
    endpoint,
    credentials: testCredentials,
    clock: systemClock,
  });
  const keys: { pk: string; sk: string }[] = [];
  for (let start: object | undefined; ; ) {
    const page = await client.call<{
      readonly Items: readonly Record<"pk" | "sk", { readonly S: string }>[];
      readonly LastEvaluatedKey?: object;
    }>("Scan", {
      TableName: "orchy-test",
      ProjectionExpression: "pk, sk",
      ...(start && { ExclusiveStartKey: start }),
    });
    keys.push(...page.Items.map(({ pk, sk }) => ({ pk: pk.S, sk: sk.S })));
    start = page.LastEvaluatedKey;
    if (start === undefined) return keys;
  }
}

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
