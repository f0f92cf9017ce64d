/** What a server finds of Cassandra at its start, and what it says where it cannot use that. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { openCassandraDriver } from "../../../src/store/cassandra/driver.ts";
import type { Logger } from "../../../src/telemetry/log.ts";
import {
  administrator,
  type CassandraServers,
  cassandraMissing,
  startCassandra,
} from "../../support/cassandra.ts";
import { type Authority, createAuthority } from "../../support/certificates.ts";

const startMs = 180_000;
const missing = await cassandraMissing();

type Options = Parameters<typeof openCassandraDriver>[1];

async function open(url: string, options: Partial<Options> = {}) {
  return await openCassandraDriver(url, { namespace: "orchy", ...options });
}

/** What it says; it must not open. */
async function refusal(url: string, options: Partial<Options> = {}): Promise<string> {
  const opened = await open(url, options).catch((error: Error) => error);
  if (opened instanceof Error) return opened.message;
  await opened.close();
  throw new Error("It opened.");
}

/** A log that keeps its warnings. */
function warningsOf(): { readonly log: Logger; readonly warnings: string[] } {
  const warnings: string[] = [];
  const nothing = () => {};
  const log: Logger = {
    debug: nothing,
    info: nothing,
    error: nothing,
    warn: (message) => void warnings.push(message),
    with: () => log,
  };
  return { log, warnings };
}

if (missing !== undefined) test.skip(`a start on Cassandra (${missing})`, () => {});
else describe("a start on Cassandra", () => startTests());

function startTests(): void {
  let running: CassandraServers;
  beforeAll(async () => {
    running = await startCassandra();
    await (await open(running.url("shared"))).close();
  }, startMs);
  afterAll(() => running.stop());

  const keyspaces = async () => {
    const { rows } = await running.client.execute(
      "SELECT keyspace_name AS name FROM system_schema.keyspaces",
    );
    return rows.map(({ name }) => name as string).filter((name) => !name.startsWith("system"));
  };

  /** Its URL of a keyspace. */
  const createRole = async (name: string) => {
    await running.client.execute(
      `CREATE ROLE IF NOT EXISTS ${name} WITH LOGIN = true AND PASSWORD = 'secret'`,
    );
    return (keyspace: string) =>
      running
        .url(keyspace)
        .replace(`${administrator.username}:${administrator.password}`, `${name}:secret`);
  };

  test("a wrong port, password or data centre is named, and nothing is created", async () => {
    const before = await keyspaces();
    const url = running.url("never");
    expect(await refusal(url.replace(`:${running.port}`, ":1"))).toMatch(
      /^Cassandra at 127\.0\.0\.1 \(port 1\) cannot be used: .*ECONNREFUSED.* Check hosts and port/,
    );
    const wrong = url.replace(`:${administrator.password}@`, ":wrong@");
    expect(await refusal(wrong)).toMatch(
      /does not let the store's role in: check user and password/,
    );
    expect(await refusal(url.replace("dc=datacenter1", "dc=elsewhere"))).toMatch(
      /has no data centre elsewhere: check dc in --store .*datacenter1/,
    );
    expect(await refusal(`${url}&tls=true`)).toMatch(/cannot be used: .*speak TLS/);
    expect(await keyspaces()).toEqual(before);
  });

  test("a role that may not create gets the statements to run; then it needs little", async () => {
    const urlOf = await createRole("small");
    expect(await refusal(urlOf("private"))).toBe(
      "The role of Cassandra may not create the keyspace private; run this once as an " +
        "administrator:\nCREATE KEYSPACE IF NOT EXISTS private WITH replication = " +
        "{'class': 'NetworkTopologyStrategy', 'datacenter1': 1};",
    );
    expect(await keyspaces()).not.toContain("private");
    await running.client.execute(
      "CREATE KEYSPACE private WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
    );
    const [sentence, ...statements] = (await refusal(urlOf("private"))).split("\n");
    expect(sentence).toStartWith("The role of Cassandra may not create the tables of the keyspace");
    for (const statement of statements) await running.client.execute(statement);
    for (const permission of ["SELECT", "MODIFY"]) {
      await running.client.execute(`GRANT ${permission} ON KEYSPACE private TO small`);
    }
    const driver = await open(urlOf("private"));
    const place = { kind: "k", id: "a" };
    await driver.documents.putDocument({ ...place, body: "1", expectedVersion: 0 });
    expect((await driver.documents.getDocument(place))?.body).toBe("1");
    await driver.close();
  });

  test("a keyspace with other tables is left as it is", async () => {
    await running.client.execute(
      "CREATE KEYSPACE foreign_one WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
    );
    await running.client.execute("CREATE TABLE foreign_one.work (id int PRIMARY KEY)");
    expect(await refusal(running.url("foreign_one"))).toMatch(
      /^The table foreign_one\.work is not one of Orchy: it lacks ns text partition_key 0, /,
    );
    const { rows } = await running.client.execute(
      "SELECT table_name FROM system_schema.tables WHERE keyspace_name = 'foreign_one'",
    );
    expect(rows.length).toBe(1);
  });

  test("another partition count, a newer namespace and a newer format are refused", async () => {
    const url = running.url("shared");
    expect(await refusal(url, { partitions: 5 })).toBe(
      "The namespace orchy has 16 partitions, which cannot be changed; start with --partitions 16, " +
        "or without it.",
    );
    const set = (name: string, value: string) =>
      running.client.execute(
        "UPDATE shared.settings SET value = ? WHERE ns = 'orchy' AND name = ? IF EXISTS",
        [value, name],
      );
    await set("tables", "99");
    expect(await refusal(url)).toMatch(/was written by a newer Orchy \(tables 99;/);
    await set("tables", "1");
    await set("format", "99");
    expect(await refusal(url)).toMatch(/was written by another version of Orchy \(format 99;/);
    await set("format", "4");
    await (await open(url)).close();
  });

  test("one replica and another paxos variant are warned of", async () => {
    const { log, warnings } = warningsOf();
    const driver = await open(running.url("shared"), { log });
    expect(warnings).toEqual([
      expect.stringMatching(/has 1 replica in datacenter1: the loss of one/),
    ]);
    expect(driver.complaint?.()).toBe(warnings.join(" "));
    expect(driver.durability).toMatch(/held by one node of datacenter1/);
    await driver.close();
  });

  test("servers that start at once create one keyspace", async () => {
    const opened = await Promise.all([1, 2, 3].map(() => open(running.url("at_once"))));
    const place = { kind: "k", id: "a" };
    await opened[0]!.documents.putDocument({ ...place, body: "1", expectedVersion: 0 });
    for (const driver of opened) {
      expect(await driver.documents.getDocument(place)).toEqual({ id: "a", version: 1, body: "1" });
    }
    expect(await opened[0]!.servers.raiseFormat?.(5)).toBe(5);
    expect(await opened[1]!.servers.raiseFormat?.(4)).toBe(5);
    expect(opened[1]!.servers.format?.()).toBe(5);
    for (const driver of opened) await driver.close();
  });
}

if (missing === undefined) {
  describe("TLS towards Cassandra", () => {
    let authority: Authority;
    let running: CassandraServers;
    beforeAll(async () => {
      authority = createAuthority();
      running = await startCassandra({ tls: authority.issue("server") });
    }, startMs);
    afterAll(async () => {
      await running.stop();
      authority.remove();
    });

    test("its authority must be the one that is named", async () => {
      const url = `${running.url("orchy")}&tls=true`;
      const driver = await open(url, { tls: { ca: authority.cert } });
      expect(await driver.documents.getDocument({ kind: "k", id: "a" })).toBeUndefined();
      await driver.close();
      expect(await refusal(url)).toMatch(/Name the authority of its certificate with --store-ca/);
      const other = createAuthority();
      expect(await refusal(url, { tls: { ca: other.cert } })).toMatch(/with --store-ca/);
      other.remove();
      expect(await refusal(running.url("orchy"))).toMatch(/add tls=true to it/);
    });
  });
}
