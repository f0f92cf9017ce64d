/** The records store keeps the contract on a database in memory. */
import { openRecordsStore } from "../../../src/store/records/records-store.ts";
import { HandClock } from "../../support/hand-clock.ts";
import { MemoryRecordsDriver } from "../../support/memory-records.ts";
import { storeConformance } from "../conformance.ts";
import { recordsConformance } from "./skips.ts";

storeConformance(
  "the records store",
  async (options) => {
    const driver = new MemoryRecordsDriver(options);
    // Tests begin at the moment of the clock: what is asked without a moment is asked then.
    const store = openRecordsStore(driver, { nonce: "n", clock: new HandClock() });
    return { store, cleanUp: async () => {} };
  },
  recordsConformance,
);
