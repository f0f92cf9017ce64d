/** The PostgreSQL of a run, each server with a separate way to it, its faults, and what is left in it. */
import type { Chance } from "../support/chance.ts";
import { type PostgresServer, startPostgres } from "../support/postgres.ts";
import type { StoreBed } from "./bed.ts";
import type { Fault, Healed } from "./faults.ts";
import type { Ledger } from "./ledger.ts";
import { checkNothingLeft } from "./nothing-left.ts";
import { startWays, type WayToStore } from "./proxy.ts";
import { wayFaults } from "./ways.ts";

export async function startPostgresBed(servers: number, namespace: string): Promise<StoreBed> {
  const server = await startPostgres({ max_connections: "60" });
  const proxies = await startWays(server.port, servers);
  return {
    proxies,
    stores: proxies.map(({ port }) => server.url.replace(`:${server.port}/`, `:${port}/`)),
    faults: (chance) => faultsOf(server, proxies, chance),
    checkLeftovers: (ledger) => checkLeftovers(server, namespace, ledger),
    async stop() {
      for (const proxy of proxies) proxy.stop();
      await server.stop();
    },
  };
}

function faultsOf(
  server: PostgresServer,
  proxies: readonly WayToStore[],
  chance: Chance,
): readonly Fault[] {
  const kill = async (): Promise<Healed> => {
    await server.kill();
    await Bun.sleep(chance.below(3_000));
    const atMs = performance.now();
    await server.restart();
    return { atMs };
  };
  const terminate = async (): Promise<Healed> => {
    await server.client
      .unsafe(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'`,
      )
      .catch(() => {});
    return { atMs: performance.now() };
  };
  return [
    ...wayFaults("PostgreSQL", proxies, chance),
    { name: "PostgreSQL: kill -9, restart", weight: 4, strike: kill },
    { name: "PostgreSQL: connections ended by it", weight: 2, strike: terminate },
  ];
}

/** When everything has ended: one timer of each execution, and nothing of removed ones. */
const leftovers = `
  SELECT (SELECT count(*) FROM tasks) + (SELECT count(*) FROM messages) AS moving,
    (SELECT count(*) FROM timers) - (SELECT count(*) FROM executions WHERE tombstone_until IS NULL)
      AS timers,
    (SELECT count(*) FROM (SELECT execution FROM fields UNION SELECT execution FROM history
      UNION SELECT execution FROM timers) o WHERE NOT EXISTS (SELECT 1 FROM executions
        WHERE number = o.execution AND tombstone_until IS NULL)) AS orphans`;

async function checkLeftovers(
  server: PostgresServer,
  namespace: string,
  ledger: Ledger,
): Promise<void> {
  await server.client.unsafe(`SET search_path = "${namespace}"`);
  await checkNothingLeft("PostgreSQL", ledger, async () => {
    const [row] = await server.client.unsafe(leftovers);
    const isEmpty = Object.values(row as object).every((count) => Number(count) === 0);
    return isEmpty ? [] : [JSON.stringify(row)];
  });
}
