/** A PostgreSQL in trouble: silent, out of time, out of room, and shared by servers that race. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chownSync } from "node:fs";
import { openPostgresStore } from "../../src/store/postgres/open.ts";
import { StoreFault } from "../../src/store/store.ts";
import { startWay } from "../chaos/proxy.ts";
import { HandClock } from "../support/hand-clock.ts";
import {
  openEmptyPostgres,
  type PostgresServer,
  postgresMissing,
  postgresUser,
  startPostgres,
} from "../support/postgres.ts";
import { disksMissing, makeSmallDisk } from "../support/small-disk.ts";
import {
  createRequest,
  Driven,
  handedOff,
  idsIn,
  newTask,
  start,
  t0,
} from "./conformance/subject.ts";

const name = postgresMissing === undefined ? "" : ` (${postgresMissing})`;

/** The fault, or undefined. */
function faultOf(work: Promise<unknown>): Promise<StoreFault | undefined> {
  return work.then(
    () => undefined,
    (error) => {
      if (error instanceof StoreFault) return error;
      throw error;
    },
  );
}

describe.skipIf(postgresMissing !== undefined)(`a PostgreSQL in trouble${name}`, () => {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await startPostgres();
  }, 60_000);
  afterAll(() => server.stop());

  test("that is silent is given up, and heard again afterwards", async () => {
    const way = await startWay(server.port);
    const clock = new HandClock();
    const url = server.url.replace(`:${server.port}/`, `:${way.port}/`);
    const options = { namespace: "silent", partitions: 4 };
    const store = await openPostgresStore(url, { ...options, clock });
    const other = await openPostgresStore(server.url, options);
    const woken: string[] = [];
    await store.onWake!((_, queue) => woken.push(queue));
    const e = await start(store, "silent");
    way.weather = "still";
    const commit = e.request({ history: ['"once"'] });
    let areOver = false;
    const faults = Promise.all([
      faultOf(store.commit(commit)),
      faultOf(store.load({ key: e.key })),
    ]).finally(() => {
      areOver = true;
    });
    while (!areOver) {
      await Bun.sleep(1);
      await clock.pass(1_000);
    }
    const given = { outcome: "unknown", reason: "unavailable" };
    expect(await faults).toMatchObject([given, given]);
    way.weather = "clear";
    let outcome = "";
    while (!/committed/.test(outcome)) {
      outcome = await store.commit(commit).then(
        (answer) => answer.outcome,
        (error: StoreFault) => error.outcome,
      );
    }
    expect(await store.history({ key: e.key, after: 0, limit: 9 })).toEqual(['"once"']);
    for (let i = 0; woken.length === 0; i++) {
      await start(other, `waking ${i}`, { effects: { tasks: [newTask("t1")] } });
      await Bun.sleep(20);
      await clock.pass(1_000);
    }
    expect(woken).toContain("q/a");
    await store.close();
    await other.close();
    way.stop();
  });

  test("whose statements may not take long refuses those, and does the others", async () => {
    await server.client.unsafe("CREATE ROLE hasty SUPERUSER LOGIN");
    await server.client.unsafe("ALTER ROLE hasty SET statement_timeout = '300ms'");
    const url = server.url.replace("postgres@", "hasty@");
    const store = await openPostgresStore(url, { namespace: "hasty", partitions: 4 });
    const [one, two] = idsIn(2, 2) as [string, string];
    const [held, free] = [await start(store, one), await start(store, two)];
    const commit = held.request({ history: ["1"] });
    await server.client.begin(async (sql) => {
      await sql.unsafe("SELECT 1 FROM hasty.executions WHERE id = $1 FOR UPDATE", [one]);
      const [fault] = await Promise.all([faultOf(store.commit(commit)), free.commit()]);
      expect(fault).toMatchObject({ outcome: "not_applied", reason: "unavailable" });
      expect(fault?.message).toContain("57014");
    });
    expect((await store.commit(commit)).outcome).toBe("committed");
    await store.close();
  });

  const fullDisk = disksMissing === undefined ? "" : ` (${disksMissing})`;
  test.skipIf(disksMissing !== undefined)(
    `that is full refuses as exhausted, loses nothing, and goes on when it has room${fullDisk}`,
    async () => {
      const disk = makeSmallDisk(32);
      chownSync(disk.path, postgresUser(), -1);
      await server.client.unsafe(`CREATE TABLESPACE small LOCATION '${disk.path}'`);
      await server.client.unsafe("CREATE DATABASE brim TABLESPACE small");
      const store = await openEmptyPostgres(server.url.replace(/postgres$/, "brim"), {
        partitions: 4,
      });
      disk.fill(400_000);
      const data = new Map([["f", JSON.stringify(Bun.randomUUIDv7().repeat(500))]]);
      const created: Driven[] = [];
      let fault: StoreFault | undefined;
      for (let i = 0; fault === undefined; i++) {
        const more = Array.from({ length: 8 }, async (_, k) => {
          created.push(await start(store, `e${i}-${k}`, { data }));
        });
        const faults = await Promise.all(more.map(faultOf));
        fault = faults.find((one) => one !== undefined);
      }
      expect(fault).toMatchObject({ outcome: "not_applied", reason: "exhausted" });
      for (const { key } of created) {
        expect(await store.load({ key })).toMatchObject({ outcome: "loaded", data });
      }
      disk.empty();
      for (const e of created) await e.commit({ data });
      await store.close();
      await server.client.unsafe("DROP DATABASE brim WITH (FORCE)");
      await server.client.unsafe("DROP TABLESPACE small");
      disk.remove();
    },
  );

  test("that servers share applies each change once", async () => {
    const options = { namespace: "shared", partitions: 4 };
    const stores = await Promise.all([1, 2, 3].map(() => openPostgresStore(server.url, options)));
    const ids = idsIn(1, 16);
    const created = await Promise.all(
      stores.flatMap((store, s) =>
        ids.map((id) => store.create({ ...createRequest(id), commitId: `create ${s}` })),
      ),
    );
    const outcomes = created.map(({ outcome }) => outcome);
    expect(outcomes.filter((outcome) => outcome === "created").length).toBe(ids.length);
    expect(outcomes.filter((outcome) => outcome === "exists").length).toBe(2 * ids.length);
    let commits = 0;
    const work = stores.flatMap((store, s) =>
      ids.map(async (id) => {
        const { key } = createRequest(id);
        for (let i = 0; i < 12; i++) {
          const loaded = await store.load({ key });
          if (loaded.outcome !== "loaded") throw new Error(loaded.outcome);
          const request = new Driven(store, key, loaded.head).request({
            history: [`${i}`],
            tasks: [newTask(`t${s}-${i}`)],
          });
          const answer = await store.commit({ ...request, commitId: `${id} ${s} ${i}` });
          if (answer.outcome === "committed") commits++;
          else expect(answer.outcome).toBe("conflict");
        }
      }),
    );
    await Promise.all(work);
    let revisions = 0;
    for (const id of ids) {
      const { key } = createRequest(id);
      const loaded = await stores[0]!.load({ key });
      if (loaded.outcome !== "loaded") throw new Error(loaded.outcome);
      const entries = await stores[0]!.history({ key, after: 0, limit: 1_000 });
      expect(entries.length).toBe(loaded.head.revision - 1);
      expect((await stores[0]!.holdings(key)).tasks.length).toBe(loaded.head.revision - 1);
      revisions += loaded.head.revision - 1;
    }
    expect(revisions).toBe(commits);
    for (const store of stores) await store.close();
  });

  test("keeps nothing of executions that are removed", async () => {
    const store = await openPostgresStore(server.url, { namespace: "removed", partitions: 4 });
    const count = async () => {
      const tables = ["executions", "fields", "history", "tasks", "timers", "messages"];
      const counts = tables.map((one) => `(SELECT count(*)::int FROM removed.${one}) AS ${one}`);
      return { ...(await server.client.unsafe(`SELECT ${counts.join()}`))[0] };
    };
    const kept = await start(store, "kept", { effects: { tasks: [newTask("t1")] } });
    const before = await count();
    const data = new Map(Array.from({ length: 60 }, (_, i) => [`f${i}`, "1"] as const));
    const timers = [{ id: "x1", at: t0 }];
    const messages = [{ id: "m1", body: "{}" }];
    const tasks = [newTask("t1"), handedOff("t2", "token")];
    const effects = { timers, messages, tasks };
    const removed = await Promise.all(
      idsIn(kept.key.partition, 9).map((id) => start(store, id, { data, effects })),
    );
    for (const e of removed) await e.commit({ history: ["1", "2"], dropTasks: ["t2"] });
    for (const { key, head: expected } of removed) {
      const request = { key, expected, tombstoneUntil: t0 + 1, now: t0 };
      while ((await store.remove(request)) === "more");
    }
    const tombstones = { executions: before.executions + removed.length };
    expect(await count()).toEqual({ ...before, ...tombstones });
    // Looks for what is due end the tombstones.
    for (let i = 0; (await count()).executions > before.executions; i++) {
      expect(i).toBeLessThan(100);
      const { partition } = kept.key;
      await store.claimDue({ partition, claimId: `${i}`, limit: 1, hideMs: 1, now: t0 + 2 });
    }
    expect(await count()).toEqual(before);
    await store.close();
  });
});
