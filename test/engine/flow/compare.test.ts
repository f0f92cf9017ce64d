/** The engine against the rules of flow as the language states them, over random graphs. */
import { checkComparison } from "./compare.ts";

checkComparison(1, 1_000);
