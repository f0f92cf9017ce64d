/** A hundred simulations; `npm run simulate -- --minutes 10` makes more of them. */
import { expect, test } from "bun:test";
import { openEvaluator } from "./scripts.ts";
import { simulateSeeds } from "./seeds.ts";
import { simulate } from "./simulation.ts";

simulateSeeds(1, 100);

test("a seed always tells the same story", async () => {
  const evaluate = await openEvaluator();
  for (let seed = 1; seed <= 10; seed++) {
    const [first, second] = [await simulate(seed, evaluate), await simulate(seed, evaluate)];
    expect(second.fingerprint).toBe(first.fingerprint);
    expect(second.callbacks).toBe(first.callbacks);
  }
}, 120_000);
