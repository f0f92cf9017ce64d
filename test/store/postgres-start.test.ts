/** How a PostgreSQL store is opened: what it refuses, what rights it needs, TLS. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { limits } from "../../src/base/limits.ts";
import { currentFormat, oldestFormat } from "../../src/model/format.ts";
import { openStore } from "../../src/store/open.ts";
import { openPostgresStore } from "../../src/store/postgres/open.ts";
import { createAuthority } from "../support/certificates.ts";
import {
  openEmptyPostgres,
  type PostgresServer,
  postgresMissing,
  startPostgres,
} from "../support/postgres.ts";
import { claimIds, newTask, start } from "./conformance/subject.ts";

const name = postgresMissing === undefined ? "" : ` (${postgresMissing})`;

describe.skipIf(postgresMissing !== undefined)(`a PostgreSQL to start with${name}`, () => {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await startPostgres();
    const store = await openPostgresStore(server.url, { namespace: "known", partitions: 4 });
    await store.close();
  }, 60_000);
  afterAll(() => server.stop());

  /** Its message must be one or two sentences in one line. */
  async function refusal(url: string, options: object = {}): Promise<string> {
    const opening = openStore(url, { namespace: "known", ...options });
    const error = await opening.then(
      async (store) => {
        await store.close();
        throw new Error("it was opened");
      },
      (reason: Error) => reason,
    );
    expect(error.message).toMatch(/^[A-Z][^\n]+\.$/);
    return error.message;
  }

  function as(role: string, database = "postgres"): string {
    return server.url.replace("postgres@", `${role}@`).replace(/postgres$/, database);
  }

  const schemas = async () =>
    (await server.client.unsafe("SELECT nspname FROM pg_namespace ORDER BY 1")).length;

  test("that cannot be used is refused in a sentence, and nothing is left of the attempt", async () => {
    const before = await schemas();
    const cases: readonly [url: string, options: object, said: string][] = [
      ["postgres://127.0.0.1:1", {}, "write postgres://USER@HOST:PORT/DATABASE"],
      [`${server.url}?sslmode=yes`, {}, 'no sslmode "yes" of PostgreSQL; use disable'],
      ["postgres://u@127.0.0.1:1/d", {}, "whether it runs"],
      [as("postgres", "absent"), {}, "(3D000). Create the database"],
      [as("nobody"), {}, "(28000). Correct the role"],
      [`${server.url}?sslmode=require`, {}, "It does not speak TLS"],
      [server.url, { partitions: 8 }, "start with --partitions 4, or without it"],
    ];
    for (const [url, options, said] of cases) {
      expect(await refusal(url, options)).toContain(said);
    }
    expect(await schemas()).toBe(before);
  });

  test("says what to grant to a role that lacks a right", async () => {
    await server.client.unsafe("CREATE ROLE poor LOGIN");
    const before = await schemas();
    expect(await refusal(as("poor"), { namespace: "new" })).toContain(
      'CREATE SCHEMA "new" AUTHORIZATION "poor"',
    );
    expect(await refusal(as("poor"))).toContain('ALTER SCHEMA "known" OWNER TO "poor"');
    expect(await schemas()).toBe(before);
    await server.client.unsafe("CREATE DATABASE closed");
    await server.client.unsafe("REVOKE CONNECT ON DATABASE closed FROM PUBLIC");
    expect(await refusal(as("poor", "closed"))).toContain("GRANT CONNECT ON DATABASE");
    await server.client.unsafe('CREATE SCHEMA "new" AUTHORIZATION "poor"');
    const store = await openPostgresStore(as("poor"), { namespace: "new", partitions: 4 });
    await start(store, "e1");
    await store.close();
  });

  test("is used by a role that may read and write, and owns nothing", async () => {
    for (const statement of [
      "CREATE ROLE worker LOGIN",
      "GRANT USAGE ON SCHEMA known TO worker",
      "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA known TO worker",
      "GRANT USAGE ON ALL SEQUENCES IN SCHEMA known TO worker",
    ]) {
      await server.client.unsafe(statement);
    }
    const store = await openPostgresStore(as("worker"), { namespace: "known" });
    const tasks = [newTask("t1")];
    const timers = [{ id: "x1", at: 1 }];
    const messages = [{ id: "m1", body: "{}" }];
    const e = await start(store, "e1", { effects: { tasks, timers, messages } });
    await e.commit({ data: new Map([["f", "1"]]), history: ["1"] });
    expect(await claimIds(store, e.key.partition)).toEqual(["t1"]);
    expect(await store.remove({ key: e.key, expected: e.head, tombstoneUntil: 0, now: 1 })).toBe(
      "removed",
    );
    await store.putDocument({ kind: "k", id: "a", body: "{}", expectedVersion: 0 });
    await store.beatServer({ id: "s", body: "{}", now: 1, ttlMs: 1 });
    await store.close();
  });

  test("of a newer version, or format, is refused, and stays as it is", async () => {
    const { client } = server;
    const set = (name: string, value: string) =>
      client.unsafe("UPDATE known.settings SET value = $1 WHERE name = $2", [value, name]);
    const read = () => client.unsafe("SELECT name, value FROM known.settings ORDER BY name");
    const original = await read();
    for (const [setting, said] of [
      ["oldest", "for servers that know 99; this one knows"],
      ["format", "written by another version of Orchy (format 99"],
    ] as const) {
      await set(setting, "99");
      const changed = await read();
      expect(await refusal(server.url)).toContain(said);
      expect([...(await read())]).toEqual([...changed]);
      for (const { name, value } of original) await set(name, value);
    }
  });

  test("speaks TLS as sslmode says", async () => {
    const [ca, stranger] = [createAuthority(), createAuthority()];
    const here = await startPostgres({}, { tls: ca.issue("here") });
    const elsewhere = await startPostgres({}, { tls: ca.issue("there", "DNS:db.example") });
    const open = async (at: PostgresServer, mode: string, tls: object) => {
      const opening = openEmptyPostgres(`${at.url}?sslmode=${mode}`, { partitions: 1, tls });
      return await opening.then(
        async (store) => {
          const [row] = await at.client.unsafe(
            "SELECT count(*)::int AS secured FROM pg_stat_ssl WHERE ssl",
          );
          await store.close();
          // The next look must not see connections of this one.
          const count = "SELECT count(*)::int AS secured FROM pg_stat_ssl WHERE ssl";
          for (let left = 1; left > 0; ) left = (await at.client.unsafe(count))[0].secured;
          return row.secured > 0 ? "secured" : "plain";
        },
        ({ message }: Error) => message,
      );
    };
    const known = { ca: ca.cert };
    const unknown = { ca: stranger.cert };
    const untrusted = expect.stringContaining("name its authority with --store-ca");
    const misnamed = expect.stringContaining("Its certificate is for another name");
    for (const [mode, tls, atHere, atElsewhere] of [
      ["disable", {}, "plain", "plain"],
      ["prefer", {}, "secured", "secured"],
      ["require", {}, "secured", "secured"],
      ["require", known, "secured", "secured"],
      ["require", unknown, untrusted, untrusted],
      ["verify-ca", known, "secured", "secured"],
      ["verify-ca", unknown, untrusted, untrusted],
      ["verify-full", known, "secured", misnamed],
      ["verify-full", unknown, untrusted, untrusted],
      ["verify-full", {}, untrusted, untrusted],
    ] as const) {
      const found = [await open(here, mode, tls), await open(elsewhere, mode, tls)];
      expect([mode, ...found]).toEqual([mode, atHere, atElsewhere]);
    }
    for (const one of [here, elsewhere]) await one.stop();
    for (const one of [ca, stranger]) one.remove();
  }, 60_000);

  test("keeps its highest format, and is written only when that rises", async () => {
    const store = await openPostgresStore(server.url, { namespace: "raised", partitions: 1 });
    const written = async () => {
      const text = "SELECT xmin::text, value FROM raised.settings WHERE name = 'format'";
      return { ...(await server.client.unsafe(text))[0] };
    };
    const before = await written();
    expect(await store.raiseFormat(oldestFormat)).toBe(currentFormat);
    expect(await store.raiseFormat(currentFormat)).toBe(currentFormat);
    expect(await written()).toEqual(before);
    expect(await store.raiseFormat(currentFormat + 1)).toBe(currentFormat + 1);
    expect(await store.raiseFormat(currentFormat)).toBe(currentFormat + 1);
    expect([(await written()).value, store.format()]).toEqual([
      `${currentFormat + 1}`,
      currentFormat + 1,
    ]);
    await store.close();
  });

  test("is prepared once by servers that start together", async () => {
    const open = () => openPostgresStore(server.url, { namespace: "together" });
    const stores = await Promise.all([open(), open(), open()]);
    const found = stores.map(({ partitions }) => partitions);
    expect(found).toEqual(Array.from(found, () => limits.partitionsDefault));
    for (const one of stores) await one.close();
  });
});
