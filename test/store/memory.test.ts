/** The memory store keeps the contract, and facets of it do alone. */
import { MemoryDocuments } from "../../src/store/memory/documents.ts";
import { MemoryStore } from "../../src/store/memory/memory-store.ts";
import { MemoryServers } from "../../src/store/memory/servers.ts";
import { storeConformance } from "./conformance.ts";

const cleanUp = async () => {};

storeConformance("the memory store", async (options) => ({
  store: new MemoryStore(options),
  cleanUp,
}));

storeConformance(
  "a store that has documents only",
  async () => ({ store: new MemoryDocuments(), cleanUp }),
  { facets: ["documents"] },
);

storeConformance(
  "a store that has servers only",
  async () => ({ store: new MemoryServers(), cleanUp }),
  { facets: ["servers"] },
);
