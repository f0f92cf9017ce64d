/**
 * The DynamoDB of a run: an imitation in memory, behind a proxy that throttles and fails as the real one
 * may, and a way of its own for each server.
 */
import {
  type AwsProxy,
  failure,
  type ProxiedRequest,
  refusal,
  startAwsProxy,
  type Trouble,
} from "../support/aws-proxy.ts";
import { type Ministack, startMinistack } from "../support/brokers/ministack.ts";
import type { Chance } from "../support/chance.ts";
import { scanDynamo, testUrl } from "../support/dynamodb.ts";
import type { Fault, Healed } from "./faults.ts";
import type { Ledger } from "./ledger.ts";
import { startWay, type WayToStore } from "./proxy.ts";
import { wayFaults } from "./ways.ts";

export interface DynamoBed {
  readonly ministack: Ministack;
  readonly service: AwsProxy;
  readonly proxies: readonly WayToStore[];
  readonly stores: readonly string[];
  /** Of each server: where its DynamoDB is. */
  readonly environments: readonly Readonly<Record<string, string>>[];
  stop(): Promise<void>;
}

export async function startDynamoBed(servers: number): Promise<DynamoBed> {
  const ministack = await startMinistack();
  const service = await startAwsProxy(ministack.endpoint);
  service.keepsRequests = false;
  const port = Number(new URL(service.endpoint).port);
  const proxies = await Promise.all(Array.from({ length: servers }, () => startWay(port)));
  return {
    ministack,
    service,
    proxies,
    stores: proxies.map(() => testUrl),
    environments: proxies.map((way) => ({
      AWS_ACCESS_KEY_ID: "test",
      AWS_SECRET_ACCESS_KEY: "test",
      AWS_ENDPOINT_URL_DYNAMODB: `http://127.0.0.1:${way.port}`,
    })),
    async stop() {
      for (const proxy of proxies) proxy.stop();
      service.stop();
      await ministack.stop();
    },
  };
}

/** Of a hundred requests, while it lasts. */
const hitPercent = 30;

export function dynamoFaults({ service, proxies }: DynamoBed, chance: Chance): readonly Fault[] {
  const lasting = (trouble: (request: ProxiedRequest) => Trouble | undefined) => {
    return async (): Promise<Healed> => {
      service.trouble = (request) => (chance.percent(hitPercent) ? trouble(request) : undefined);
      await Bun.sleep(500 + chance.below(3_500));
      service.trouble = () => undefined;
      return { atMs: performance.now() };
    };
  };
  const conflict = refusal("TransactionCanceledException", "cancelled", {
    CancellationReasons: [{ Code: "TransactionConflict" }],
  });
  return [
    ...wayFaults("DynamoDB", proxies, chance),
    {
      name: "DynamoDB: throttled",
      weight: 4,
      strike: lasting(() => refusal("ProvisionedThroughputExceededException")),
    },
    {
      name: "DynamoDB: batches left undone",
      weight: 3,
      strike: lasting(({ operation, body }) =>
        operation === "BatchWriteItem"
          ? { status: 200, body: { UnprocessedItems: body.RequestItems } }
          : undefined,
      ),
    },
    {
      name: "DynamoDB: transactions in the way",
      weight: 3,
      strike: lasting(({ operation }) =>
        operation === "TransactWriteItems" ? conflict : undefined,
      ),
    },
    { name: "DynamoDB: fails before", weight: 2, strike: lasting(() => failure) },
    { name: "DynamoDB: fails after", weight: 4, strike: lasting(() => "failed after") },
  ];
}

/** Leases of what was cancelled leave with their last moment. */
const patienceMs = 40_000;

/** When everything has ended no task stands in a row any more. */
export async function checkDynamoLeftovers(
  { ministack }: DynamoBed,
  ledger: Ledger,
): Promise<void> {
  const giveUpAt = performance.now() + patienceMs;
  for (;;) {
    const rows = (await scanDynamo(ministack.endpoint)).filter(
      ({ pk, sk }) => pk.includes("/x/") && sk.startsWith("r"),
    );
    if (rows.length === 0) return;
    if (performance.now() > giveUpAt) {
      ledger.violate(`left in DynamoDB: ${rows.length} rows, such as ${JSON.stringify(rows[0])}`);
      return;
    }
    await Bun.sleep(1_000);
  }
}
