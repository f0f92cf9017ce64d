/** Random operations on the memory store and on the records store, on a database in memory. */
import { MemoryRecordsDriver } from "../support/memory-records.ts";
import { recordsDifferential, seedsFrom } from "./differential/suites.ts";

recordsDifferential(
  "the records store answers as the memory store does",
  async (options) => ({ driver: new MemoryRecordsDriver(options), cleanUp: async () => {} }),
  seedsFrom(1, 30),
);
