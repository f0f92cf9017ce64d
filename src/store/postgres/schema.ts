/** The schema of a namespace: created, brought to this version, and checked before it is used. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { TransactionSQL } from "bun";
import { limits } from "../../base/limits.ts";
import { currentFormat } from "../../model/format.ts";
import { type Namespace, readNamespace } from "../kit/namespace.ts";
import { purgedPerClaim, purgedPerRemoval, removeRowsMax } from "../kit/removal.ts";
import { stateOf } from "./faults.ts";
import type { PostgresLink } from "./link.ts";

const folder = join(import.meta.dir, "migrations");

const bounds: Readonly<Record<string, number>> = {
  removeRowsMax,
  purgedPerClaim,
  purgedPerRemoval,
  commitIdsKept: limits.commitIdsKept,
  keptHashChars: limits.keptHashChars,
};

/** Each is applied once, in order; one that has been released is never changed. */
const migrations: readonly string[] = readdirSync(folder)
  .filter((file) => file.endsWith(".sql"))
  .sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))
  .map((file) => readFileSync(join(folder, file), "utf8"))
  .map((text) => text.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => `${bounds[name]}`));

interface Options {
  readonly namespace: string;
  readonly partitions?: number;
}

type Settings = Readonly<Record<string, string>>;

/** Permission denied; or no schema that may be used was found. */
const denied: readonly unknown[] = ["42501", "3F000"];

/**
 * All that is missing, in one transaction: servers that start at once wait for each other, and one
 * that cannot use the namespace leaves nothing behind. Throws an Error of one sentence then.
 */
export async function prepareSchema(link: PostgresLink, options: Options): Promise<Namespace> {
  const { namespace, partitions = limits.partitionsDefault } = options;
  const { client, schema } = link;
  return await client.begin(async (sql) => {
    await sql.unsafe("SELECT pg_advisory_xact_lock(hashtext($1))", [
      `orchy migrations ${namespace}`,
    ]);
    const role = await openSchema(sql, namespace);
    try {
      await sql.unsafe(`SET LOCAL search_path = ${schema}`);
      const found = await readSettings(sql);
      check(found, options);
      const initial = { partitions, format: currentFormat };
      const settings = await migrate(sql, { ...initial, ...found });
      return { partitions: Number(settings.partitions), format: Number(settings.format) };
    } catch (error) {
      if (!denied.includes(stateOf(error))) throw error;
      throw new Error(
        `The role of PostgreSQL may not use the schema ${schema}: ${(error as Error).message}. Make ` +
          `it the owner: ALTER SCHEMA ${schema} OWNER TO "${role}".`,
      );
    }
  });
}

/** Creates it where it is missing; returns the role of this server. */
async function openSchema(sql: TransactionSQL, namespace: string): Promise<string> {
  // A role may use a schema that it may not create.
  const [found] = await sql.unsafe(
    `SELECT current_user AS role,
       EXISTS (SELECT FROM pg_namespace WHERE nspname = $1) AS "isThere",
       has_database_privilege(current_database(), 'CREATE') AS "mayCreate"`,
    [namespace],
  );
  const { role, isThere, mayCreate } = found;
  if (isThere) return role;
  if (!mayCreate) {
    throw new Error(
      `The role of PostgreSQL may not create the schema "${namespace}"; create it once as an ` +
        `administrator: CREATE SCHEMA "${namespace}" AUTHORIZATION "${role}".`,
    );
  }
  await sql.unsafe(`CREATE SCHEMA "${namespace}"`);
  return role;
}

async function readSettings(sql: TransactionSQL): Promise<Settings> {
  const [found] = await sql.unsafe("SELECT to_regclass('settings')::text AS known");
  if (found.known === null) return {};
  const rows: { name: string; value: string }[] = await sql.unsafe(
    "SELECT name, value FROM settings",
  );
  return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
}

/** Of a namespace that exists. */
function check({ version, format, partitions }: Settings, options: Options): void {
  const { namespace } = options;
  if (version === undefined) return;
  if (Number(version) > migrations.length) {
    throw new Error(
      `The namespace ${namespace} was written by a newer Orchy (schema ${version}; this one ` +
        `knows ${migrations.length}); start that version, or a newer one.`,
    );
  }
  readNamespace({ partitions, format }, options);
}

async function migrate(
  sql: TransactionSQL,
  { version = "0", ...settings }: Readonly<Record<string, string | number>>,
): Promise<Readonly<Record<string, string | number>>> {
  const missing = migrations.slice(Number(version));
  if (missing.length === 0) return settings;
  for (const migration of missing) await sql.unsafe(migration).simple();
  const values = { ...settings, version: migrations.length };
  for (const [name, value] of Object.entries(values)) {
    await sql.unsafe(
      `INSERT INTO settings VALUES ($1, $2)
       ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
      [name, `${value}`],
    );
  }
  return settings;
}
