/** More of what `redis-differential.test.ts` does. */
import { redisDifferential, seedsFrom } from "./differential/suites.ts";

redisDifferential(seedsFrom(1_100, 200));
