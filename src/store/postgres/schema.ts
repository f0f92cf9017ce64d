/** The schema of a namespace: created, brought to this version, and checked before it is used. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { limits } from "../../base/limits.ts";
import { currentFormat, oldestFormat } from "../../model/format.ts";
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

interface Namespace {
  readonly partitions: number;
  readonly format: number;
}

interface Options {
  readonly namespace: string;
  readonly partitions?: number;
}

/** Throws an Error of one sentence when this server cannot use the namespace. */
export async function prepareSchema(link: PostgresLink, options: Options): Promise<Namespace> {
  const { namespace, partitions = limits.partitionsDefault } = options;
  await createSchema(link, namespace);
  const initial = { partitions, format: currentFormat };
  const settings = await migrate(link, namespace, initial);
  const format = Number(settings.format);
  if (!(format >= oldestFormat && format <= currentFormat)) {
    throw new Error(
      `The namespace ${namespace} was written by another version of Orchy (format ` +
        `${settings.format}; this one reads ${oldestFormat} to ${currentFormat}). Start that ` +
        "version, or a newer one.",
    );
  }
  const stored = Number(settings.partitions);
  if (options.partitions !== undefined && options.partitions !== stored) {
    throw new Error(
      `The namespace ${namespace} has ${stored} partitions, which cannot be changed; ` +
        `start with --partitions ${stored}, or without it.`,
    );
  }
  return { partitions: stored, format };
}

async function createSchema(link: PostgresLink, namespace: string): Promise<void> {
  const { schema } = link;
  try {
    // Read first: a role may use a schema that it may not create.
    const found = await link.query("SELECT 1 FROM pg_namespace WHERE nspname = $1", [namespace]);
    if (found.length === 0) await link.query(`CREATE SCHEMA IF NOT EXISTS ${schema}`);
  } catch (error) {
    if (stateOf(error) !== "42501") throw error;
    const [row] = await link.query<{ readonly role: string }>("SELECT current_user AS role");
    throw new Error(
      `The role of PostgreSQL may not create the schema ${schema}; create it once as an ` +
        `administrator: CREATE SCHEMA ${schema} AUTHORIZATION "${row?.role}".`,
    );
  }
}

/** Permission denied; or no schema that may be used was found. */
const denied: readonly unknown[] = ["42501", "3F000"];

/** All that is missing, in one transaction: servers that start at once wait for each other. */
async function migrate(
  { client, schema }: PostgresLink,
  namespace: string,
  initial: Namespace,
): Promise<Readonly<Record<string, string>>> {
  try {
    return await client.begin(async (sql) => {
      await sql.unsafe("SELECT pg_advisory_xact_lock(hashtext($1))", [
        `orchy migrations ${namespace}`,
      ]);
      await sql.unsafe(`SET LOCAL search_path = ${schema}`);
      const [found] = await sql.unsafe("SELECT to_regclass('settings')::text AS known");
      const read = async () =>
        Object.fromEntries(
          (await sql.unsafe("SELECT name, value FROM settings")).map(
            (row: { name: string; value: string }) => [row.name, row.value],
          ),
        );
      const settings = found.known === null ? {} : await read();
      const version = Number(settings.version ?? 0);
      if (version > migrations.length) {
        throw new Error(
          `The namespace ${namespace} was written by a newer Orchy (schema ${version}; this one ` +
            `knows ${migrations.length}); start that version, or a newer one.`,
        );
      }
      if (version === migrations.length) return settings;
      for (const migration of migrations.slice(version)) await sql.unsafe(migration).simple();
      const values = { ...initial, ...settings, version: migrations.length };
      for (const [name, value] of Object.entries(values)) {
        await sql.unsafe(
          `INSERT INTO settings VALUES ($1, $2)
           ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
          [name, `${value}`],
        );
      }
      return await read();
    });
  } catch (error) {
    if (!denied.includes(stateOf(error))) throw error;
    throw new Error(
      `The role of PostgreSQL may not use the schema ${schema}: ${(error as Error).message}. Make it ` +
        `the owner: ALTER SCHEMA ${schema} OWNER TO the role of the store's URL.`,
    );
  }
}
