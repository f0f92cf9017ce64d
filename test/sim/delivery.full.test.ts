/** More simulations with consumers, and what they are for: mistakes that they find. */
import { describe, expect, test } from "bun:test";
import { openEvaluator } from "./scripts.ts";
import { simulateSeeds } from "./seeds.ts";
import { simulate } from "./simulation.ts";
import { ticketMistakes } from "./ticket-mistakes.ts";

/** Most seeds of one mistake. */
const seedsMax = 100;

simulateSeeds(6_000, 60, { consumers: true, reaches: ["ticket done", "ticket result accepted"] });

describe("the simulation with consumers finds that", () => {
  for (const mistake of ticketMistakes) {
    test(mistake.name, async () => {
      const evaluate = await openEvaluator();
      let found: string | undefined;
      for (let seed = 1; found === undefined && seed <= seedsMax; seed++) {
        found = (await simulate(seed, evaluate, { mistake, consumers: true })).violation;
      }
      expect(found).toBeDefined();
    }, 120_000);
  }
});
