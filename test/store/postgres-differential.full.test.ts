/** Random operations on the memory store and on PostgreSQL, over more seeds. */
import { postgresDifferential, seedsFrom } from "./differential/suites.ts";

await postgresDifferential(seedsFrom(2_000, 200));
