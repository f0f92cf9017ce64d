/**
 * What operations of the store cost on DynamoDB: `bun scripts/dynamodb-costs.ts`, in requests and
 * capacity units, as its imitation ministack counts them by Amazon's rules; what a step takes of the
 * processor of its client; and what a whole server without work costs, which takes a minute.
 */
import { join } from "node:path";
import type { AwsAttempt } from "../src/aws/client.ts";
import { countsOf } from "../src/store/dynamodb/capacity.ts";
import { openDynamoStore } from "../src/store/dynamodb/open.ts";
import { ministackMissing, startMinistack } from "../test/support/brokers/ministack.ts";
import { testCredentials, testUrl } from "../test/support/dynamodb.ts";
import { startEndpoint } from "../test/support/endpoint-process.ts";
import { readMetrics, total } from "../test/support/metrics.ts";
import { handedOverMicros } from "./bench/client-cost.ts";
import { type Cost, measureCosts, type OperationName, printCosts } from "./bench/store-costs.ts";
import { startServer, stop } from "./bench/support.ts";

type Unit = "requests" | "units";

const plan: Readonly<Record<OperationName, Readonly<Record<Unit, number>>>> = {
  create: { requests: 5, units: 5 },
  "handed-over step": { requests: 1, units: 2 },
  heartbeat: { requests: 1, units: 2 },
  "step into a queue": { requests: 2, units: 3 },
  "claim from a queue": { requests: 4, units: 4 },
  end: { requests: 5, units: 5 },
  "empty look for timers": { requests: 1, units: 1 },
  "empty look for messages": { requests: 1, units: 1 },
  "empty look into a queue": { requests: 1, units: 1 },
};

/** `endpoint`: of a DynamoDB with nothing in this namespace. */
export async function dynamoCosts(endpoint: string): Promise<readonly Cost<Unit>[]> {
  const spent = { requests: 0, units: 0 };
  const onAttempt = (attempt: AwsAttempt) => {
    spent.requests += 1;
    spent.units += countsOf(attempt)[1];
  };
  const namespace = `costs-${Date.now()}`;
  const credentials = testCredentials;
  const options = { namespace, dynamodbEndpoint: endpoint, credentials, onAttempt };
  const store = await openDynamoStore(testUrl, options);
  const costs = await measureCosts(store, plan, () => spent);
  await store.close();
  return costs;
}

/** Of an endpoint that accepts all that is written. */
async function measureClient(): Promise<number> {
  const service = await startEndpoint(join(import.meta.dir, "bench/accepting-dynamo.ts"));
  const dynamodbEndpoint = service.endpoint;
  const options = { namespace: "client", dynamodbEndpoint, credentials: testCredentials };
  const store = await openDynamoStore(testUrl, options);
  const micros = await handedOverMicros(store);
  await store.close();
  await service.stop();
  return micros;
}

/** Requests a second of a server without work, once its looks have become as rare as they get. */
async function measureIdle(endpoint: string): Promise<number> {
  Object.assign(process.env, {
    AWS_ACCESS_KEY_ID: "test",
    AWS_SECRET_ACCESS_KEY: "test",
    AWS_ENDPOINT_URL_DYNAMODB: endpoint,
  });
  const server = await startServer({ store: testUrl });
  const requests = async () => total(await readMetrics(server), "orchy_dynamodb_requests_total");
  await Bun.sleep(settleMs);
  const before = await requests();
  await Bun.sleep(idleMs);
  const after = await requests();
  await stop(server);
  return (after - before) / (idleMs / 1_000);
}

const settleMs = 30_000;
const idleMs = 45_000;

if (import.meta.main) {
  const missing = await ministackMissing();
  if (missing !== undefined) {
    console.error(missing);
    process.exit(1);
  }
  const running = await startMinistack();
  printCosts(await dynamoCosts(running.endpoint));
  const micros = await measureClient();
  console.log(
    `Processor time of a handed-over step: ${micros.toFixed(0)} µs (planned: at most 150).`,
  );
  console.log("A server without work is measured for a minute.");
  const idle = await measureIdle(running.endpoint);
  console.log(`Requests a second without work: ${idle.toFixed(1)} (planned: at most 5).`);
  await running.stop();
}
