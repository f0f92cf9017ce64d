/**
 * Servers of this version and of a newer one share a PostgreSQL, as in a rolling upgrade: the newer one
 * is this one with more migrations.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { schemaVersion } from "../../src/store/postgres/schema.ts";
import { call, saveWorkflow } from "../support/orchy.ts";
import { type PostgresServer, postgresMissing, startPostgres } from "../support/postgres.ts";
import { Place } from "./support/pair.ts";

const root = join(import.meta.dirname, "../..");
const name = postgresMissing === undefined ? "" : ` (${postgresMissing})`;
const [expanded, contracted] = [schemaVersion + 1, schemaVersion + 2];

const expand = `ALTER TABLE executions ADD COLUMN note text;
  ALTER TABLE tasks ADD COLUMN note text DEFAULT 'added';`;
const contract = "ALTER TABLE executions DROP COLUMN history;";

/** This version with more migrations. */
function newerVersion(migrations: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), "orchy-newer-"));
  cpSync(join(root, "src"), join(folder, "src"), { recursive: true });
  for (const part of ["package.json", "node_modules"]) {
    symlinkSync(join(root, part), join(folder, part));
  }
  for (const [file, text] of Object.entries(migrations)) {
    writeFileSync(join(folder, "src/store/postgres/migrations", file), text);
  }
  return folder;
}

/** With which sentence a server refuses to start. */
function refusal(folder: string, store: string, flags: readonly string[] = []): string {
  const all = ["--http-port", "0", "--grpc-port", "0", "--store", store, ...flags];
  const main = join(folder, "src/main.ts");
  const { exitCode, stderr } = Bun.spawnSync([process.execPath, main, ...all]);
  expect(exitCode).toBe(1);
  return stderr.toString();
}

describe.skipIf(postgresMissing !== undefined)(`versions of the schema${name}`, () => {
  const step = `${expanded}-notes.sql`;
  const newer = newerVersion({ [step]: expand });
  const newest = newerVersion({
    [step]: expand,
    [`${contracted}-less.from-${expanded}.sql`]: contract,
  });
  let postgres: PostgresServer;
  let places: readonly [older: Place, newer: Place];

  beforeAll(async () => {
    postgres = await startPostgres({ fsync: "off" });
    places = [new Place(postgres.url), new Place(postgres.url, newer)];
  }, 60_000);
  afterAll(async () => {
    for (const place of places) await place.end("SIGKILL");
    await postgres.stop();
    for (const folder of [newer, newest]) rmSync(folder, { recursive: true, force: true });
  });

  async function setting(name: string): Promise<number> {
    const text = "SELECT value::int FROM orchy.settings WHERE name = $1";
    return (await postgres.client.unsafe(text, [name]))[0].value;
  }

  let started = 0;
  /** One execution from its start to its end, at one server. */
  async function run(place: Place): Promise<void> {
    const executionId = `run-${++started}`;
    const body = { workflow: "w", executionId, input: {} };
    expect((await call(place, "POST", "/v1/executions", body)).status).toBe(202);
    const { body: result } = await call(
      place,
      "GET",
      `/v1/executions/${executionId}/result?wait=60`,
    );
    expect(result.status).toBe("COMPLETED");
  }

  test("a newer server adds to the tables while an older one works, which starts again beside it", async () => {
    const [older, later] = places;
    await older.start();
    const delay = { id: "a", type: "system", name: "delay", delaySeconds: 0 };
    await saveWorkflow(older, { name: "w", rootAction: "a", actions: [delay] });
    await run(older);
    // A dump is in the way of the newer one; what waits behind that is let through.
    let starting: Promise<void> | undefined;
    await postgres.client.begin(async (sql) => {
      await sql.unsafe("SELECT count(*) FROM orchy.executions");
      starting = later.start();
      const waiting = `SELECT count(*)::int AS count FROM pg_locks
        WHERE NOT granted AND mode = 'AccessExclusiveLock'`;
      for (let count = 0; count === 0; ) [{ count }] = await sql.unsafe(waiting);
      await run(older);
    });
    await starting;
    expect(await setting("version")).toBe(expanded);
    for (const place of [later, older]) await run(place);
    // Not killed: a seat that nobody gave up would count as a server that runs.
    await older.end("SIGTERM");
    await older.start();
    for (const place of [older, later]) await run(place);
  }, 120_000);

  test("what servers that run do not know is not taken away", async () => {
    const said = refusal(newest, postgres.url);
    expect(said).toContain(`while servers run that know less of it than version ${expanded} (1)`);
    expect([await setting("version"), await setting("oldest")]).toEqual([expanded, 0]);
    for (const place of places) await run(place);
  }, 120_000);

  test("once they have ended it is, and the older version refuses to start", async () => {
    const [older, later] = places;
    await older.end("SIGTERM");
    const last = new Place(postgres.url, newest);
    await later.end("SIGTERM");
    await last.start();
    expect([await setting("version"), await setting("oldest")]).toEqual([contracted, expanded]);
    await last.end("SIGTERM");
    expect(refusal(root, postgres.url)).toContain(
      `(schema ${contracted}, for servers that know ${expanded}; this one knows ${schemaVersion})`,
    );
  }, 120_000);

  test("a newer server that may not bring the schema up to date says who may", async () => {
    const address = postgres.url.replace("postgres@", "worker@");
    const flags = ["--namespace", "owned"];
    const first = new Place(postgres.url);
    await first.start(flags);
    await first.end("SIGTERM");
    for (const statement of [
      "CREATE ROLE worker LOGIN",
      "GRANT USAGE ON SCHEMA owned TO worker",
      "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA owned TO worker",
      "GRANT USAGE ON ALL SEQUENCES IN SCHEMA owned TO worker",
    ]) {
      await postgres.client.unsafe(statement);
    }
    const said = refusal(newer, address, flags);
    expect(said).toContain(
      `may not bring from version ${schemaVersion} to ${expanded} the schema "owned"`,
    );
    expect(said).toContain("Start this version once as its owner");
    const owner = new Place(postgres.url, newer);
    await owner.start(flags);
    // With the rights alone, an older and a newer one may go on.
    for (const folder of [undefined, newer]) {
      const place = new Place(address, folder);
      await place.start(flags);
      await place.end("SIGTERM");
    }
    await owner.end("SIGTERM");
  }, 120_000);
});
