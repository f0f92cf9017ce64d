/** The Cassandra of a run: one node, with a way of its own for each server. */
import { type CassandraServers, startCassandra } from "../support/cassandra.ts";
import type { Chance } from "../support/chance.ts";
import type { StoreBed } from "./bed.ts";
import type { Fault, Healed } from "./faults.ts";
import type { Ledger } from "./ledger.ts";
import { checkNothingLeft } from "./nothing-left.ts";
import { startWays, type WayToStore } from "./proxy.ts";
import { wayFaults } from "./ways.ts";

const keyspace = "orchy";

export async function startCassandraBed(servers: number): Promise<StoreBed> {
  const cassandra = await startCassandra();
  const proxies = await startWays(cassandra.port, servers);
  return {
    proxies,
    stores: proxies.map(({ port }) => cassandra.url(keyspace, port)),
    faults: (chance) => faultsOf(cassandra, proxies, chance),
    checkLeftovers: (ledger) => checkLeftovers(cassandra, ledger),
    async stop() {
      for (const proxy of proxies) proxy.stop();
      await cassandra.stop();
    },
  };
}

function faultsOf(
  cassandra: CassandraServers,
  proxies: readonly WayToStore[],
  chance: Chance,
): readonly Fault[] {
  const [node] = cassandra.nodes;
  const kill = async (): Promise<Healed> => {
    await node!.kill();
    await node!.restart();
    return { atMs: performance.now() };
  };
  const freeze = async (): Promise<Healed> => {
    process.kill(node!.pid, "SIGSTOP");
    await Bun.sleep(500 + chance.below(7_000));
    process.kill(node!.pid, "SIGCONT");
    return { atMs: performance.now() };
  };
  return [
    ...wayFaults("Cassandra", proxies, chance),
    { name: "Cassandra: kill -9, restart", weight: 1, strike: kill },
    { name: "Cassandra: frozen", weight: 2, strike: freeze },
  ];
}

/** When everything has ended no task stands in a row any more. */
async function checkLeftovers(cassandra: CassandraServers, ledger: Ledger): Promise<void> {
  await checkNothingLeft("Cassandra", ledger, async () => {
    const { rows } = await cassandra.client.execute(`SELECT e, k FROM ${keyspace}.records`);
    return rows.filter(({ k }) => k !== "").map((row) => JSON.stringify(row));
  });
}
