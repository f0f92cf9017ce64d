/** The memory store keeps the contract. */
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { storeConformance } from "./conformance.ts";

storeConformance("the memory store", async (options) => ({
  store: new MemoryStore(options),
  cleanUp: async () => {},
}));
