/** The simulation finds what it is for: each of these mistakes within a few seeds. */
import { describe, expect, test } from "bun:test";
import { mistakes } from "./mistakes.ts";
import { openEvaluator } from "./scripts.ts";
import { simulate } from "./simulation.ts";

const seedsMax = 200;
const evaluate = await openEvaluator();

describe("the simulation finds that", () => {
  for (const mistake of mistakes) {
    test(mistake.name, async () => {
      let found: string | undefined;
      for (let seed = 1; found === undefined && seed <= seedsMax; seed++) {
        found = (await simulate(seed, evaluate, { mistake })).violation;
      }
      expect(found).toBeDefined();
    }, 120_000);
  }
});
