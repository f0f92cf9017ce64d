/** What the driver for Cassandra makes of lost replies, and of nodes that end or hang. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { openCassandraDriver } from "../../../src/store/cassandra/driver.ts";
import type { RecordsDriver } from "../../../src/store/records/driver.ts";
import { StoreFault } from "../../../src/store/store.ts";
import {
  type CassandraServers,
  cassandraMissing,
  startCassandra,
} from "../../support/cassandra.ts";
import { type CuttingProxy, startCuttingProxy } from "../../support/cutting-proxy.ts";
import { until } from "../../support/redis.ts";

const startMs = 240_000;
const missing = await cassandraMissing();

const open = (url: string) =>
  openCassandraDriver(url, { namespace: `faults-${process.pid}`, partitions: 4 });

/** Counts up in one head; a change that is lost, or made twice, throws. */
class Counter {
  readonly #driver: RecordsDriver;
  readonly #key: { readonly partition: number; readonly id: string };
  #count = 0;
  readonly outcomes = { changed: 0, not_applied: 0, unknown: 0 };

  constructor(driver: RecordsDriver, id: string) {
    this.#driver = driver;
    this.#key = { partition: 1, id };
  }

  async step(): Promise<void> {
    const expected = this.#count === 0 ? null : this.#count;
    const next = { version: this.#count + 1, body: "x".repeat(1_500), closed: false };
    const head = { kind: "write", expected, next } as const;
    try {
      const answer = await this.#driver.aggregates.change({ key: this.#key, head, rows: [] });
      expect(answer.outcome).toBe("changed");
      this.#count++;
      this.outcomes.changed++;
    } catch (error) {
      if (!(error instanceof StoreFault)) throw error;
      this.outcomes[error.outcome]++;
      const before = this.#count;
      await this.#look();
      expect(this.#count - before).toBeLessThanOrEqual(error.outcome === "unknown" ? 1 : 0);
    }
  }

  /** What is there for sure; until it can be read. */
  async #look(): Promise<void> {
    const before = this.#count;
    await until(async () => {
      try {
        const group = await this.#driver.aggregates.read({ key: this.#key, sure: true });
        this.#count = group.head?.version ?? 0;
        return true;
      } catch (error) {
        if (!(error instanceof StoreFault)) throw error;
        return false;
      }
    });
    expect(this.#count).toBeGreaterThanOrEqual(before);
  }
}

if (missing !== undefined) test.skip(`faults of Cassandra (${missing})`, () => {});
else {
  describe("lost replies of Cassandra", () => proxyTests());
  describe("three nodes of Cassandra", () => nodeTests());
}

function proxyTests(): void {
  let running: CassandraServers;
  let proxy: CuttingProxy;
  let driver: RecordsDriver;
  beforeAll(async () => {
    running = await startCassandra();
    proxy = await startCuttingProxy(running.port);
    driver = await open(running.url("faults", proxy.port));
  }, startMs);
  afterAll(async () => {
    await driver.close();
    proxy.stop();
    await running.stop();
  });

  test("a change whose reply is lost is unknown, and a sure read says whether it was made", async () => {
    const counter = new Counter(driver, "lost");
    const { outcomes } = counter;
    // A reply of something else may be the one that is lost.
    while (outcomes.unknown < 3) {
      await counter.step();
      if (outcomes.changed % 3 === 1) proxy.cutNextAnswer();
    }
    const { changed } = outcomes;
    while (outcomes.changed < changed + 3) await counter.step();
  });

  test("a hint whose post is not acknowledged may be posted, and a document be put, again", async () => {
    const shelf = { partition: 1, kind: "work", name: "due" } as const;
    const place = { at: Date.now(), id: "h" };
    const untilDone = async (call: () => Promise<unknown>) =>
      until(async () => {
        try {
          await call();
          return true;
        } catch (error) {
          if (!(error instanceof StoreFault)) throw error;
          return false;
        }
      });
    proxy.cutNextAnswer();
    await untilDone(() => driver.shelves.post([{ shelf, entry: { place, body: "b" } }]));
    const scanned: unknown[] = [];
    proxy.cutNextAnswer();
    await untilDone(async () => scanned.push(await driver.shelves.scan({ shelf, limit: 9 })));
    expect(scanned).toEqual([{ entries: [{ place, body: "b" }], more: false }]);
    const document = { kind: "k", id: "a", body: "1", expectedVersion: 0 };
    proxy.cutNextAnswer();
    await untilDone(async () => {
      expect(await driver.documents.putDocument(document)).toEqual({
        outcome: "saved",
        version: 1,
      });
    });
  });
}

function nodeTests(): void {
  let running: CassandraServers;
  let driver: RecordsDriver;
  beforeAll(async () => {
    running = await startCassandra({ nodes: 3 });
    driver = await open(running.url("faults"));
  }, startMs);
  afterAll(async () => {
    await driver.close();
    await running.stop();
  });

  test("with one of three gone or hanging work goes on, and nothing is lost or done twice", async () => {
    expect(driver.durability).toMatch(/held by 2 of 3 replicas in datacenter1/);
    const counters = Array.from({ length: 6 }, (_, i) => new Counter(driver, `e${i}`));
    let isOver = false;
    const working = counters.map(async (counter) => {
      while (!isOver) await counter.step();
    });
    const [, second, third] = running.nodes;
    /** Each of them has changed its head some more. */
    const progress = async () => {
      const wanted = counters.map(({ outcomes }) => outcomes.changed + 10);
      await until(
        async () => counters.every(({ outcomes }, i) => outcomes.changed >= wanted[i]!),
        120_000,
      );
    };
    const done = (async () => {
      await progress();
      await third!.kill();
      await progress();
      await third!.restart();
      await until(async () => running.client.hosts.values().every((host) => host.isUp()), 120_000);
      await progress();
      process.kill(second!.pid, "SIGSTOP");
      await progress();
      process.kill(second!.pid, "SIGCONT");
      await progress();
    })().finally(() => {
      isOver = true;
    });
    await Promise.all([done, ...working]);
  }, 300_000);
}
