/** What only PostgreSQL can get wrong: lost replies, locks, the ends of its connections. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { SQL } from "bun";
import { openPostgresStore } from "../../src/store/postgres/open.ts";
import type { PostgresStore } from "../../src/store/postgres/postgres-store.ts";
import { StoreFault } from "../../src/store/store.ts";
import { startCuttingProxy } from "../support/cutting-proxy.ts";
import {
  openEmptyPostgres,
  type PostgresServer,
  postgresMissing,
  startPostgres,
} from "../support/postgres.ts";
import {
  claimIds,
  createRequest,
  idsIn,
  newTask,
  release,
  start,
  t0,
} from "./conformance/subject.ts";

const name = postgresMissing === undefined ? "" : ` (${postgresMissing})`;

async function faultOf(work: Promise<unknown>): Promise<StoreFault> {
  const error = await work.then(
    () => undefined,
    (reason) => reason,
  );
  if (!(error instanceof StoreFault)) throw new Error(`No fault, but ${error}`);
  return error;
}

describe.skipIf(postgresMissing !== undefined)(`a PostgreSQL${name}`, () => {
  let server: PostgresServer;
  let store: PostgresStore;

  beforeAll(async () => {
    server = await startPostgres();
    store = await openPostgresStore(server.url, { namespace: "faults", partitions: 4 });
  }, 60_000);
  afterAll(async () => {
    await store.close();
    await server.stop();
  });

  test("whose reply is lost leaves the outcome unknown, and a repeat changes nothing", async () => {
    const proxy = await startCuttingProxy(server.port);
    const cut = await openEmptyPostgres(server.url.replace(`${server.port}`, `${proxy.port}`), {
      partitions: 4,
      // Another one might be about to be opened, and be cut instead.
      connections: 1,
    });
    const ids = idsIn(1, 2) as [string, string];
    const [a, b] = [await start(cut, ids[0]), await start(cut, ids[1])];
    const requests = [a, b].map((e) => e.request({ history: ['"once"'], tasks: [newTask("t1")] }));
    proxy.cutNextAnswer();
    const faults = await Promise.all(requests.map((request) => faultOf(cut.commit(request))));
    expect(faults.map(({ outcome }) => outcome)).toEqual(["unknown", "unknown"]);
    for (const [i, e] of [a, b].entries()) {
      expect((await cut.commit(requests[i]!)).outcome).toBe("already_committed");
      expect(await cut.history({ key: e.key, after: 0, limit: 9 })).toEqual(['"once"']);
      expect((await cut.holdings(e.key)).tasks.length).toBe(1);
    }
    const create = createRequest(idsIn(2, 1)[0]!);
    proxy.cutNextAnswer();
    expect((await faultOf(cut.create(create))).outcome).toBe("unknown");
    expect((await cut.create(create)).outcome).toBe("created");
    proxy.cutNextAnswer();
    expect((await faultOf(claimIds(cut, 1))).outcome).toBe("unknown");
    expect((await claimIds(cut, 1)).length).toBe(2);
    await cut.close();
    proxy.stop();
  });

  test("that cannot store one change keeps the others of its call", async () => {
    const [one, two] = idsIn(1, 2) as [string, string];
    const [wrong, right] = [await start(store, one), await start(store, two)];
    const [fault, answer] = await Promise.all([
      faultOf(wrong.try({ history: ["\0"] })),
      right.try({ history: ["1"] }),
    ]);
    expect(fault.outcome).toBe("not_applied");
    expect(answer.outcome).toBe("committed");
  });

  test("whose rows are locked for long, or in another order, repeats the change", async () => {
    const [one, two] = idsIn(2, 2) as [string, string];
    const all = [await start(store, one), await start(store, two)];
    let commits: Promise<unknown> | undefined;
    // In the other order than servers do.
    const held = server.client.begin(async (sql) => {
      const lock = (id: string) =>
        sql.unsafe("SELECT 1 FROM faults.executions WHERE id = $1 FOR UPDATE", [id]);
      await lock(two);
      commits = Promise.all(all.map((e) => e.commit()));
      const waiting = "SELECT count(*)::int AS count FROM pg_locks WHERE NOT granted";
      for (let count = 0; count === 0; ) [{ count }] = await sql.unsafe(waiting);
      await lock(one);
    });
    // Whichever of the two gives up: the other goes on.
    await held.catch(() => {});
    await commits;
    for (const e of all) {
      const loaded = await store.load({ key: e.key });
      expect(loaded).toMatchObject({ outcome: "loaded", head: { revision: 2 } });
    }
  });

  test("that ends its connections, or itself, is reached again", async () => {
    const e = await start(store, "ended", { effects: { tasks: [newTask("t1")] } });
    await server.client.unsafe(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'`);
    const commit = e.request({ history: ["1"] });
    for (let outcome = ""; !/committed/.test(outcome); ) {
      outcome = await store.commit(commit).then(
        (answer) => answer.outcome,
        (error: StoreFault) => error.outcome,
      );
    }
    await server.kill();
    expect((await faultOf(store.load({ key: e.key }))).reason).toBe("unavailable");
    await server.restart();
    const load = () => store.load({ key: e.key }).catch(() => undefined);
    let loaded = await load();
    while (loaded === undefined) loaded = await load();
    expect(loaded).toMatchObject({ head: { revision: 2 } });
    expect(await claimIds(store, e.key.partition)).toEqual(["t1"]);
  });

  test("wakes the other servers, and passes on their notes", async () => {
    const other = await openPostgresStore(server.url, { namespace: "faults" });
    expect(other.partitions).toBe(4);
    const heard: unknown[] = [];
    const { promise: all, resolve } = Promise.withResolvers<void>();
    const hear = (...what: unknown[]) => {
      heard.push(what);
      if (heard.length === 3) resolve();
    };
    await other.onWake!(hear, hear);
    const e = await start(store, "woken", {
      effects: { tasks: [newTask("t1", { queue: "a b" })] },
    });
    const { partition } = e.key;
    await store.sendNote!(3, "a note");
    const queues = [{ name: "a b", limit: 1 }];
    while (heard.length < 2) await Bun.sleep(1);
    await claimIds(store, partition, { queues, tokenPrefix: "1.w" });
    const lease = { key: e.key, taskId: "t1", token: "1.w.t1", now: t0 };
    expect(await release(store, lease)).toBe("released");
    await all;
    expect(heard).toContainEqual([3, "a note"]);
    expect(heard.filter((one) => Bun.deepEquals(one, [partition, "a b"])).length).toBe(2);
    await other.close();
  });

  test("that has no connection left is used again when it has", async () => {
    const small = await startPostgres({
      max_connections: "6",
      superuser_reserved_connections: "0",
      max_wal_senders: "0",
    });
    const few = await openEmptyPostgres(small.url, { partitions: 4, connections: 1 });
    const e = await start(few, "crowded");
    const others: SQL[] = [];
    const fill = async () => {
      for (;;) {
        const other = new SQL({ url: small.url, max: 1 });
        others.push(other);
        const isIn = await other.unsafe("SELECT 1").then(
          () => true,
          () => false,
        );
        if (!isIn) return;
      }
    };
    await fill();
    await small.client.unsafe(`SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
      WHERE pid <> pg_backend_pid() AND query LIKE '%test-%'`);
    await fill();
    let fault = await faultOf(e.try());
    // That its connection has ended, it may learn only now.
    while (fault.outcome === "unknown") fault = await faultOf(e.try());
    expect([fault.outcome, fault.message]).toEqual([
      "not_applied",
      expect.stringContaining("53300"),
    ]);
    for (const other of others) await other.close({ timeout: 0 });
    let answer = "";
    while (answer !== "committed") {
      answer = await e.try().then(
        ({ outcome }) => outcome,
        ({ outcome }: StoreFault) => outcome,
      );
    }
    await few.close();
    await small.stop();
  });
});
