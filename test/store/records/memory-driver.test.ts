/** The database in memory, on which the records store is tested, does what drivers must do. */
import { describe, expect, test } from "bun:test";
import { MemoryRecordsDriver } from "../../support/memory-records.ts";
import { recordsDriverSuite } from "./driver-suite.ts";

recordsDriverSuite("the driver in memory", async (options) => ({
  driver: new MemoryRecordsDriver(options),
  cleanUp: async () => {},
}));

describe("the driver in memory", () => {
  test("misses an entry for an earlier moment, as other drivers may", async () => {
    let now = 1_000_000;
    const driver = new MemoryRecordsDriver({ partitions: 1, clock: () => now });
    const { lateMs, sweepMs } = driver.limits;
    const shelf = { partition: 0, kind: "work", name: "due" } as const;
    const post = (at: number) =>
      driver.shelves.post([{ shelf, entry: { place: { at, id: `${at}` }, body: "" } }]);
    await post(now - lateMs);
    await post(now - lateMs - 1);
    const count = () => driver.shelves.count({ shelf, max: 9 });
    expect(await count()).toBe(1);
    now += sweepMs;
    expect(await count()).toBe(2);
  });
});
