/** More of what `sqlite-differential.test.ts` does. */
import { seedsFrom, sqliteDifferential } from "./differential/suites.ts";

sqliteDifferential(seedsFrom(1_100, 200));
