/** The records store takes the time from its database, where that has a clock. */
import { test } from "bun:test";
import type { Clock } from "../../../src/base/clock.ts";
import { openRecordsStore } from "../../../src/store/records/records-store.ts";
import { MemoryRecordsDriver } from "../../support/memory-records.ts";
import { followsTheStoresClock } from "./clock-suite.ts";

test("the records store follows the clock of its database", async () => {
  const driver = new MemoryRecordsDriver({ partitions: 4 });
  await followsTheStoresClock(async (clock: Clock) => {
    const timeOffset = () => Date.now() - clock.now();
    return openRecordsStore(Object.assign(Object.create(driver), { timeOffset }), {
      nonce: "n",
      clock,
    });
  });
});
