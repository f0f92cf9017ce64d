/** Hundreds of simulations of the records store, and what they are for: mistakes that they find. */
import { describe, expect, test } from "bun:test";
import { recordsMistakes } from "./records-mistakes.ts";
import { openEvaluator } from "./scripts.ts";
import { simulateSeeds } from "./seeds.ts";
import { simulate } from "./simulation.ts";

/** Most seeds of one mistake. */
const seedsMax = 200;

simulateSeeds(1_000, 300, {
  shared: "records",
  // Primitives are repeated on their way, not commits; the store reports what came of its own.
  exceptFor: ["commit already_committed"],
});

describe("the simulation of the records store finds that", () => {
  for (const mistake of recordsMistakes) {
    test(mistake.name, async () => {
      const evaluate = await openEvaluator();
      let found: string | undefined;
      for (let seed = 1; found === undefined && seed <= seedsMax; seed++) {
        found = (await simulate(seed, evaluate, { mistake, shared: "records" })).violation;
      }
      expect(found).toBeDefined();
    }, 120_000);
  }
});
