/** The keyspace of a store and its tables: created where they are missing, and checked. */
import { type CassandraError, codes, reasonOf } from "./faults.ts";
import type { CassandraLink } from "./link.ts";
import { createStatement, type Table, tables } from "./tables.ts";

/** As many copies as a loss of one needs to be survived without a stop. */
export const replicasWanted = 3;

/** Of the keyspace in this data centre. Throws an Error of one sentence. */
export async function prepareKeyspace(link: CassandraLink): Promise<number> {
  const known = await replicasOf(link);
  const replicas = known ?? (await createKeyspace(link));
  const missing = await missingTables(link);
  for (const table of missing) {
    const statement = createStatement(link.keyspace, table);
    const all = missing.map((one) => `${createStatement(link.keyspace, one)};`).join("\n");
    await define(link, statement, `the tables of the keyspace ${link.keyspace}`, all);
  }
  return replicas;
}

/** Undefined: there is no such keyspace. */
async function replicasOf(link: CassandraLink): Promise<number | undefined> {
  const { keyspace, datacenter } = link;
  const [row] = await link.onOneNode(
    "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?",
    [keyspace],
  );
  if (row === undefined) return undefined;
  const { class: strategy = "", ...factors } = row.replication as Record<string, string>;
  const factor = strategy.endsWith("NetworkTopologyStrategy")
    ? factors[datacenter]
    : factors.replication_factor;
  const replicas = Number.parseInt(factor ?? "0", 10);
  if (replicas > 0) return replicas;
  throw new Error(
    `The keyspace ${keyspace} has no replicas in the data centre ${datacenter}: ALTER KEYSPACE ` +
      `${keyspace} WITH replication = {'class': 'NetworkTopologyStrategy', '${datacenter}': ` +
      `${replicasWanted}}, or name another dc in the store's URL.`,
  );
}

async function createKeyspace(link: CassandraLink): Promise<number> {
  const { keyspace, datacenter } = link;
  const replicas = Math.min(replicasWanted, link.hosts().length);
  const statement =
    `CREATE KEYSPACE IF NOT EXISTS ${keyspace} WITH replication = ` +
    `{'class': 'NetworkTopologyStrategy', '${datacenter}': ${replicas}}`;
  await define(link, statement, `the keyspace ${keyspace}`, `${statement};`);
  return replicas;
}

/** Throws an Error of one sentence where a table is another one than ours. */
async function missingTables(link: CassandraLink): Promise<readonly Table[]> {
  const { keyspace } = link;
  const rows = await link.onOneNode(
    "SELECT table_name, column_name, type, kind, position FROM system_schema.columns " +
      "WHERE keyspace_name = ?",
    [keyspace],
  );
  return tables.filter((table) => {
    const found = rows.filter((row) => row.table_name === table.name);
    if (found.length === 0) return true;
    const { partitionKey, clustering, columns } = table;
    const described = found.map((row) => {
      const position = row.kind === "regular" ? "" : ` ${row.position}`;
      return `${row.column_name} ${row.type} ${row.kind}${position}`;
    });
    const wanted = [
      ...partitionKey.map(([name, type], i) => `${name} ${type} partition_key ${i}`),
      ...clustering.map(([name, type], i) => `${name} ${type} clustering ${i}`),
      ...columns.map(([name, type]) => `${name} ${type} regular`),
    ];
    // Columns that a later version adds are left alone.
    const lacking = wanted.filter((one) => !described.includes(one));
    if (lacking.length === 0) return false;
    throw new Error(
      `The table ${keyspace}.${table.name} is not one of Orchy: it lacks ${lacking.join(", ")}. Name ` +
        "another keyspace in the store's URL: it is created at the start.",
    );
  });
}

async function define(
  link: CassandraLink,
  statement: string,
  what: string,
  all: string,
): Promise<void> {
  try {
    await link.onOneNode(statement);
  } catch (error) {
    const known = error as CassandraError;
    if (known.code !== codes.unauthorized) {
      throw new Error(`Cassandra does not create ${what}: ${reasonOf(known)}.`);
    }
    throw new Error(
      `The role of Cassandra may not create ${what}; run this once as an administrator:\n${all}`,
    );
  }
}
