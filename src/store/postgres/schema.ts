/**
 * The schema of a namespace: created, brought to this version, and checked before it is used. Servers of
 * several versions share it, as in a rolling upgrade: a migration adds what the newer one needs, and only
 * a later one takes away what no server of that time uses any more. Its file then names the oldest version
 * of the schema that a server must know to go on: `7-short.from-6.sql`.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { TransactionSQL } from "bun";
import { type Clock, pause } from "../../base/clock.ts";
import { limits } from "../../base/limits.ts";
import { currentFormat } from "../../model/format.ts";
import { type Namespace, readNamespace } from "../kit/namespace.ts";
import { purgedPerClaim, purgedPerRemoval, removeRowsMax } from "../kit/removal.ts";
import { isDisturbed, stateOf } from "./faults.ts";
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
const migrations = readdirSync(folder)
  .filter((file) => file.endsWith(".sql"))
  .sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))
  .map((file) => ({
    text: fillIn(readFileSync(join(folder, file), "utf8")),
    /** Servers that know fewer migrations cannot go on. */
    from: Number(/\.from-(\d+)\.sql$/.exec(file)?.[1] ?? 0),
  }));

function fillIn(text: string): string {
  return text.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => `${bounds[name]}`);
}

/** The version of the schema that this server knows. */
export const schemaVersion = migrations.length;

/** Whoever reads or writes waits behind a change of tables that waits: it gives up and comes again. */
const lockTimeout = "200ms";
const triesMs = 1_000;
const triesMax = 100;

interface Options {
  readonly namespace: string;
  readonly clock: Clock;
  readonly partitions?: number;
}

type Settings = Readonly<Record<string, string>>;

/** Permission denied; or no schema that may be used was found. */
const denied: readonly unknown[] = ["42501", "3F000"];

/** Throws an Error of one sentence when this server cannot use the namespace. */
export async function prepareSchema(link: PostgresLink, options: Options): Promise<Namespace> {
  for (let tries = 1; ; tries++) {
    try {
      return await prepareOnce(link, options);
    } catch (error) {
      if (!isDisturbed(error)) throw error;
      if (tries === triesMax) {
        throw new Error(
          `The schema ${link.schema} cannot be brought up to date: another transaction uses its ` +
            `tables (${(error as Error).message}). Wait until that has ended, a dump for instance.`,
        );
      }
      await pause(triesMs, options.clock);
    }
  }
}

/**
 * All that is missing, in one transaction: servers that start at once wait for each other, and one
 * that cannot use the namespace leaves nothing behind.
 */
async function prepareOnce(link: PostgresLink, options: Options): Promise<Namespace> {
  const { namespace, partitions = limits.partitionsDefault } = options;
  const { client, schema } = link;
  return await client.begin(async (sql) => {
    await sql.unsafe("SELECT pg_advisory_xact_lock(hashtext($1))", [
      `orchy migrations ${namespace}`,
    ]);
    const role = await openSchema(sql, namespace);
    let found: Settings = {};
    try {
      await sql.unsafe(`SET LOCAL search_path = ${schema}`);
      found = await readSettings(sql);
      check(found, options);
      const initial = { partitions, format: currentFormat };
      const settings = await migrate(sql, { ...initial, ...found });
      return { partitions: Number(settings.partitions), format: Number(settings.format) };
    } catch (error) {
      if (!denied.includes(stateOf(error))) throw error;
      const { version } = found;
      const isUpgrade = version !== undefined && Number(version) < schemaVersion;
      const todo = isUpgrade ? `bring from version ${version} to ${schemaVersion}` : "use";
      const once = isUpgrade ? "Start this version once as its owner, or make" : "Make";
      throw new Error(
        `The role of PostgreSQL may not ${todo} the schema ${schema}: ${(error as Error).message}. ` +
          `${once} it the owner: ALTER SCHEMA ${schema} OWNER TO "${role}".`,
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
function check({ version, oldest, format, partitions }: Settings, options: Options): void {
  const { namespace } = options;
  if (version === undefined) return;
  if (Number(oldest) > schemaVersion) {
    throw new Error(
      `The namespace ${namespace} was written by a newer Orchy (schema ${version}, for servers that ` +
        `know ${oldest}; this one knows ${schemaVersion}); start that version, or a newer one.`,
    );
  }
  readNamespace({ partitions, format }, options);
}

type Values = Readonly<Record<string, string | number>>;

async function migrate(
  sql: TransactionSQL,
  { version = 0, oldest = 0, ...settings }: Values,
): Promise<Values> {
  const missing = migrations.slice(Number(version));
  if (missing.length === 0) return settings;
  const from = Math.max(Number(oldest), ...missing.map((migration) => migration.from));
  if (from > Number(oldest) && version !== 0) await expectNoneBefore(sql, from);
  await sql.unsafe(`SET LOCAL lock_timeout = '${lockTimeout}'`);
  for (const { text } of missing) await sql.unsafe(text).simple();
  const values = { ...settings, version: schemaVersion, oldest: from };
  for (const [name, value] of Object.entries(values)) {
    await sql.unsafe(
      `INSERT INTO settings VALUES ($1, $2)
       ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
      [name, `${value}`],
    );
  }
  return settings;
}

/** Of the servers that are live, none may know less of the schema. */
async function expectNoneBefore(sql: TransactionSQL, from: number): Promise<void> {
  const [live] = await sql.unsafe(
    `SELECT count(*)::int AS older FROM servers WHERE schema < $1::int
       AND until > extract(epoch FROM clock_timestamp()) * 1000`,
    [from],
  );
  if (live.older === 0) return;
  throw new Error(
    `The schema cannot be brought to version ${schemaVersion} while servers run that know less of it ` +
      `than version ${from} (${live.older}). Stop them, or upgrade them to a version between first.`,
  );
}
