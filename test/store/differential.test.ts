/** Random operations on the memory store and on SQLite, answer by answer. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { openSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { mustReach, runDifferential } from "./differential/differential.ts";
import { temporaryFolder } from "./temporary.ts";

const given = process.env.SEED;
const seeds =
  given === undefined ? Array.from({ length: 200 }, (_, i) => 1_000 + i) : [Number(given)];
const partitions = 2;

describe("stores answer alike", () => {
  test("the memory store and SQLite", async () => {
    const reached = new Set<string>();
    for (const seed of seeds) {
      const folder = temporaryFolder();
      const path = join(folder.path, "orchy.db");
      const reference = new MemoryStore({ partitions });
      const sqlite = openSqliteStore({ path, partitions });
      const options = { seed, operations: 150, together: 6, partitions, smallLimits: true };
      await runDifferential({ ...options, reference, others: [sqlite], reached });
      await sqlite.close();
      folder.remove();
    }
    if (given === undefined) expect(mustReach.filter((one) => !reached.has(one))).toEqual([]);
  }, 60_000);
});
