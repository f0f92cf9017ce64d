/**
 * The DynamoDB of a run: an imitation in memory, behind a proxy that throttles and fails as the real one
 * may, and a way of its own for each server.
 */
import { join } from "node:path";
import { startDynoxide } from "../support/brokers/dynoxide.ts";
import type { Chance } from "../support/chance.ts";
import { scanDynamo, testUrl } from "../support/dynamodb.ts";
import { startEndpoint } from "../support/endpoint-process.ts";
import type { StoreBed } from "./bed.ts";
import type { TroubleName } from "./dynamodb-service.ts";
import type { Fault, Healed } from "./faults.ts";
import type { Ledger } from "./ledger.ts";
import { checkNothingLeft } from "./nothing-left.ts";
import { startWays, type WayToStore } from "./proxy.ts";
import { wayFaults } from "./ways.ts";

/** What becomes of requests from now on. */
type Troubling = (name: TroubleName | "none") => void;

export async function startDynamoBed(servers: number): Promise<StoreBed> {
  const dynoxide = await startDynoxide();
  const program = join(import.meta.dirname, "dynamodb-service.ts");
  const service = await startEndpoint(program, dynoxide.endpoint);
  const port = Number(new URL(service.endpoint).port);
  const proxies = await startWays(port, servers);
  const trouble: Troubling = (name) => service.send(name);
  return {
    proxies,
    stores: proxies.map(() => testUrl),
    environments: proxies.map((way) => ({
      AWS_ACCESS_KEY_ID: "test",
      AWS_SECRET_ACCESS_KEY: "test",
      AWS_ENDPOINT_URL_DYNAMODB: `http://127.0.0.1:${way.port}`,
    })),
    faults: (chance) => faultsOf(proxies, trouble, chance),
    checkLeftovers: (ledger) => checkLeftovers(dynoxide.endpoint, ledger),
    async stop() {
      for (const proxy of proxies) proxy.stop();
      await service.stop();
      await dynoxide.stop();
    },
  };
}

function faultsOf(
  proxies: readonly WayToStore[],
  trouble: Troubling,
  chance: Chance,
): readonly Fault[] {
  const lasting = (name: TroubleName) => async (): Promise<Healed> => {
    trouble(name);
    await Bun.sleep(500 + chance.below(3_500));
    trouble("none");
    return { atMs: performance.now() };
  };
  return [
    ...wayFaults("DynamoDB", proxies, chance),
    { name: "DynamoDB: throttled", weight: 4, strike: lasting("throttled") },
    { name: "DynamoDB: batches left undone", weight: 3, strike: lasting("undone") },
    { name: "DynamoDB: transactions in the way", weight: 3, strike: lasting("conflicts") },
    { name: "DynamoDB: fails before", weight: 2, strike: lasting("failing") },
    { name: "DynamoDB: fails after", weight: 4, strike: lasting("failing after") },
  ];
}

/** When everything has ended no task stands in a row any more. */
async function checkLeftovers(endpoint: string, ledger: Ledger): Promise<void> {
  await checkNothingLeft("DynamoDB", ledger, async () => {
    const rows = await scanDynamo(endpoint);
    return rows
      .filter(({ pk, sk }) => pk.includes("/x/") && sk.startsWith("r"))
      .map((row) => JSON.stringify(row));
  });
}
