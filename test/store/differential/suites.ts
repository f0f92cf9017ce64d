/** The differential tests, over the seeds that a test file gives. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { systemClock } from "../../../src/base/clock.ts";
import { facetOf, type Operation } from "../../../src/store/facets.ts";
import { MemoryStore } from "../../../src/store/memory/memory-store.ts";
import { openRecordsStore } from "../../../src/store/records/records-store.ts";
import { openSqliteStore } from "../../../src/store/sqlite/sqlite-store.ts";
import type { Store } from "../../../src/store/store.ts";
import { describeOn, type Service } from "../../support/on-service.ts";
import {
  openEmptyPostgres,
  type PostgresServer,
  postgresMissing,
  startPostgres,
} from "../../support/postgres.ts";
import { redisMissing } from "../../support/redis.ts";
import { allFacets } from "../conformance/suites.ts";
import type { Subject } from "../conformance.ts";
import type { DriverSubject } from "../records/driver-suite.ts";
import { withoutClock } from "../records/without-clock.ts";
import { openEmptyRedis, redisTargets } from "../redis-targets.ts";
import { temporaryFolder } from "../temporary.ts";
import { mustReach, runDifferential } from "./differential.ts";
import type { Space } from "./operations.ts";

const partitions = 2;
const startMs = 30_000;
const testMs = 300_000;

/** `count` seeds from the first one, or the one that SEED gives. */
export function seedsFrom(first: number, count: number): readonly number[] {
  const given = process.env.SEED;
  return given === undefined ? Array.from({ length: count }, (_, i) => first + i) : [Number(given)];
}

interface Compared extends Omit<Space, "partitions"> {
  /** Of what is compared with the memory store; an empty one each time. */
  readonly open: (options: { readonly partitions: number }) => Promise<Subject>;
  /** Most operations under way at once; more than one needs a store that keeps their order. */
  readonly together: number;
  /** Absent: what any fair run reaches. */
  readonly reaches?: readonly string[];
}

/** Random operations on a store and on the memory store, which must return the same. */
export function storeDifferential(
  name: string,
  { open, together, smallLimits, facets = allFacets, ...compared }: Compared,
  seeds: readonly number[],
): void {
  test(
    name,
    async () => {
      const reached = new Set<string>();
      for (const seed of seeds) {
        const reference = new MemoryStore({ partitions });
        const { store, cleanUp } = await open({ partitions });
        const claimOrder = compared.claimOrder ?? store.traits?.claimOrder ?? "strict";
        const isLoose = store.traits?.countsExact === false;
        const space = { partitions, smallLimits, facets, claimOrder, isLoose };
        const options = { seed, operations: 150, together, ...space };
        const others = [store as Store];
        await runDifferential({ ...options, reference, others, reached });
        await store.close?.();
        await cleanUp();
      }
      const wanted = (compared.reaches ?? mustReach).filter((one) => {
        return facets.includes(facetOf[one.split(" ")[0] as Operation]);
      });
      if (seeds.length > 1) expect(wanted.filter((one) => !reached.has(one))).toEqual([]);
    },
    testMs,
  );
}

export function sqliteDifferential(seeds: readonly number[]): void {
  const open: Compared["open"] = async (options) => {
    const folder = temporaryFolder();
    const store = openSqliteStore({ path: join(folder.path, "orchy.db"), ...options });
    return { store, cleanUp: async () => folder.remove() };
  };
  describe("stores answer alike", () => {
    storeDifferential(
      "the memory store and SQLite",
      { open, together: 6, smallLimits: true },
      seeds,
    );
  });
}

const installedPostgres: Service<PostgresServer> = {
  missing: async () => postgresMissing,
  start: () => startPostgres({ fsync: "off" }),
  startMs,
};

/** One at a time: calls of one turn are sent in the order of their executions. */
export async function postgresDifferential(seeds: readonly number[]): Promise<void> {
  const names = { title: "PostgreSQL", skipped: "the PostgreSQL store" };
  await describeOn(installedPostgres, names, (running) =>
    postgresDifferentialOn(running, { seeds }),
  );
}

export function postgresDifferentialOn(
  running: () => PostgresServer,
  { seeds, ...more }: { readonly seeds: readonly number[] } & Pick<Compared, "reaches">,
): void {
  const open: Compared["open"] = async (options) => {
    return { store: await openEmptyPostgres(running().url, options), cleanUp: async () => {} };
  };
  storeDifferential(
    "answers as the memory store does",
    // Alone it passes over nothing.
    { open, together: 1, smallLimits: true, claimOrder: "strict", ...more },
    seeds,
  );
}

/** The records store on any driver; `open` returns an empty database each time. */
export function recordsDifferential(
  name: string,
  open: (options: { readonly partitions: number }) => Promise<DriverSubject>,
  seeds: readonly number[],
): void {
  storeDifferential(
    name,
    {
      async open(options) {
        const { driver, cleanUp } = await open(options);
        let now = 0;
        const clock = { ...systemClock, now: () => now };
        const store = openRecordsStore(withoutClock(driver), { nonce: "differential", clock });
        // It asks for the time where a request has none: it is that of the latest request.
        return {
          store: new Proxy(store, {
            get(target, property) {
              const value: unknown = Reflect.get(target, property, target);
              if (typeof value !== "function") return value;
              return (request?: { readonly now?: number }) => {
                now = Math.max(now, request?.now ?? 0);
                return value.call(target, request) as unknown;
              };
            },
          }),
          cleanUp,
        };
      },
      together: 1,
      smallLimits: false,
      facets: allFacets.filter((facet) => facet !== "transfer"),
      reaches: mustReach.filter((one) => !one.startsWith("listTimers")),
    },
    seeds,
  );
}

/** With every kind of Redis. */
export function redisDifferential(seeds: readonly number[]): void {
  if (redisMissing !== undefined) {
    test.skip(`the Redis store (${redisMissing})`, () => {});
    return;
  }
  for (const { name, start } of redisTargets) {
    describe(name, () => {
      let running: Awaited<ReturnType<typeof start>>;
      beforeAll(async () => {
        running = await start();
      }, startMs);
      afterAll(() => running.stop());
      const open: Compared["open"] = async (options) => {
        return { store: await openEmptyRedis(running.url, options), cleanUp: async () => {} };
      };
      // One at a time: batches do not keep their order with other calls. Ties are as Redis likes.
      storeDifferential(
        "answers as the memory store does",
        { open, together: 1, smallLimits: false },
        seeds,
      );
    });
  }
}
