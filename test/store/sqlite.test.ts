/** The SQLite store keeps the contract, on a real file. */
import { join } from "node:path";
import { openSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { storeConformance } from "./conformance.ts";
import { temporaryFolder } from "./temporary.ts";

storeConformance("the SQLite store", async (options) => {
  const folder = temporaryFolder();
  const path = join(folder.path, "new folder", "orchy.db");
  return { store: openSqliteStore({ path, ...options }), cleanUp: async () => folder.remove() };
});
