/** What of the conformance suite the PostgreSQL store runs, directly and behind a pooler. */
import type { Facet } from "../../src/store/facets.ts";
import type { Store } from "../../src/store/store.ts";
import { allFacets } from "./conformance/suites.ts";
import { storeConformance } from "./conformance.ts";

const skip = [
  "timers are listed in order, in pages, whether due or not",
  "a listed timer stands where it is hidden or moved to; others do not stand",
].map((test) => ({ test, reason: "PostgreSQL lists no timers: it has no bound of room" }));

export function postgresConformance(
  open: (options: { readonly partitions: number }) => Promise<Store>,
  facets: readonly Facet[] = allFacets,
): void {
  storeConformance(
    "the PostgreSQL store",
    async (options) => ({ store: await open(options), cleanUp: async () => {} }),
    { skip, facets },
  );
}
