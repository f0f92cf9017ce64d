/** More of what `simulate.test.ts` does. */
import { simulateSeeds } from "./seeds.ts";

simulateSeeds(101, 200);
