/** More of what `compare.test.ts` does. */
import { checkComparison } from "./compare.ts";

checkComparison(1_001, 9_000);
