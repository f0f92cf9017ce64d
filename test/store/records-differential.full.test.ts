/** More of what `records-differential.test.ts` does. */
import { MemoryRecordsDriver } from "../support/memory-records.ts";
import { recordsDifferential, seedsFrom } from "./differential/suites.ts";

recordsDifferential(
  "the records store answers as the memory store does",
  async (options) => ({ driver: new MemoryRecordsDriver(options), cleanUp: async () => {} }),
  seedsFrom(100, 300),
);
