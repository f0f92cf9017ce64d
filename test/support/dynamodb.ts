/** DynamoDB for tests: an imitation, and in its table a namespace for each store. */
import { AwsClient } from "../../src/aws/client.ts";
import { Refreshed } from "../../src/aws/credentials.ts";
import { systemClock } from "../../src/base/clock.ts";
import { type DynamoOptions, openDynamoDriver } from "../../src/store/dynamodb/open.ts";
import type { RecordsDriver } from "../../src/store/records/driver.ts";
import { dynoxideMissing, startDynoxide } from "./brokers/dynoxide.ts";
import { type Ministack, ministackMissing, startMinistack } from "./brokers/ministack.ts";
import type { Service } from "./on-service.ts";

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

export interface TestDynamo {
  /** An empty one. */
  open(options?: Partial<DynamoOptions>): Promise<RecordsDriver>;
  stop(): Promise<void>;
}

/** A real table by its address, with the credentials of the environment; absent: ministack. */
const realUrl = process.env.ORCHY_TEST_DYNAMODB;

/** Why there is none; undefined when there is. */
export async function dynamoMissing(): Promise<string | undefined> {
  return realUrl === undefined ? await ministackMissing() : undefined;
}

export async function startDynamo(): Promise<TestDynamo> {
  if (realUrl === undefined) {
    const { endpoint, stop } = await startMinistack();
    return { open: (options) => openEmptyDynamo(endpoint, options), stop };
  }
  return {
    open(options) {
      count += 1;
      const namespace = `test-${Date.now()}-${count}`;
      return openDynamoDriver(realUrl, { namespace, ...options });
    },
    stop: async () => {},
  };
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

export const dynamo: Service<TestDynamo> = {
  missing: dynamoMissing,
  start: startDynamo,
  startMs: 120_000,
};

/** The imitation, even where there is a real table: what the tests look at past the store is here. */
export const ministack: Service<Ministack> = {
  missing: ministackMissing,
  start: startMinistack,
  startMs: 120_000,
};

/** Another imitation, written by others: what both hold is no whim of one. */
const dynoxide: Service<TestDynamo> = {
  missing: dynoxideMissing,
  async start() {
    const { endpoint, stop } = await startDynoxide();
    return { open: (options) => openEmptyDynamo(endpoint, options), stop };
  },
  startMs: 120_000,
};

/** By name: those on which the driver and the store are tried. */
export const dynamos = [
  ["DynamoDB", dynamo],
  ["DynamoDB by dynoxide", dynoxide],
] as const;
