/** Random operations on the memory store and on SQLite, answer by answer. */
import { seedsFrom, sqliteDifferential } from "./differential/suites.ts";

sqliteDifferential(seedsFrom(1_000, 100));
