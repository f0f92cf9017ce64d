/** Random operations on the memory store and on PostgreSQL, answer by answer. */
import { postgresDifferential, seedsFrom } from "./differential/suites.ts";

await postgresDifferential(seedsFrom(1_000, 26));
