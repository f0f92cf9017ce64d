/** A PostgreSQL with a synchronous replica: what was acknowledged outlives the loss of the primary. */
import { expect, test } from "bun:test";
import { openPostgresStore } from "../../src/store/postgres/open.ts";
import type { StoreFault } from "../../src/store/store.ts";
import { startCuttingProxy } from "../support/cutting-proxy.ts";
import { postgresMissing, startPostgres } from "../support/postgres.ts";
import { idsIn, start } from "./conformance/subject.ts";

const name = postgresMissing === undefined ? "" : ` (${postgresMissing})`;
const executions = 20;

test.skipIf(postgresMissing !== undefined)(
  `a failover to a synchronous replica loses nothing that was acknowledged${name}`,
  async () => {
    const primary = await startPostgres({ wal_level: "replica", synchronous_standby_names: "*" });
    const replica = await startPostgres({}, { of: primary });
    const way = await startCuttingProxy(primary.port);
    const url = primary.url.replace(`:${primary.port}/`, `:${way.port}/`);
    const store = await openPostgresStore(url, { namespace: "failover", partitions: 4 });
    expect(store.traits.durability).toContain("synchronous replicas hold them");

    const all = await Promise.all(idsIn(1, executions).map((id) => start(store, id)));
    let isOver = false;
    const commits = all.map(async (e) => {
      while (!isOver) {
        // A request whose outcome is unknown is made again until it is known.
        const request = e.request({ history: [`"${e.head.revision}"`] });
        for (let isKnown = false; !isKnown; ) {
          const answer = await store.commit(request).catch((error: StoreFault) => error);
          if (answer instanceof Error) {
            await Bun.sleep(20);
            continue;
          }
          isKnown = true;
          expect(["committed", "already_committed"]).toContain(answer.outcome);
          if ("head" in answer) e.head = answer.head;
        }
      }
    });
    while (all.some((e) => e.head.revision < 10)) await Bun.sleep(5);
    await primary.kill();
    await replica.client.unsafe("SELECT pg_promote()");
    way.turnTo(replica.port);
    const before = all.map((e) => e.head.revision);
    while (all.some((e, i) => e.head.revision < before[i]! + 5)) await Bun.sleep(5);
    isOver = true;
    await Promise.all(commits);
    for (const e of all) {
      const history = await store.history({ key: e.key, after: 0, limit: 100_000 });
      expect(history).toEqual(Array.from({ length: e.head.revision - 1 }, (_, i) => `"${i + 1}"`));
    }
    await store.close();
    way.stop();
    await replica.stop();
    await primary.stop();
  },
  120_000,
);
