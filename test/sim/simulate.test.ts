/** A few hundred simulations; `bun run simulate --minutes M` makes more of them. */
import { expect, test } from "bun:test";
import { openEvaluator } from "./scripts.ts";
import { describeFailure, simulate } from "./simulation.ts";

const seeds = Array.from({ length: 300 }, (_, index) => 1 + index);
const evaluate = await openEvaluator();

/** Reached by any fair run of that length; one that is missing means that faults have lost their bite. */
const mustReach = [
  ...["create created", "create exists", "create tombstone"],
  ...["commit committed", "commit already_committed", "commit conflict", "commit stale"],
  ...["extendLeases extended", "extendLeases stale", "extendLeases cancelled"],
  ...["releaseTasks released", "releaseTasks stale", "remove removed", "hand-off", "lapse", "cut"],
  ...["result accepted", "result duplicate", "result stale", "result retry"],
  ...["execution COMPLETED", "execution FAILED", "execution TIMED_OUT", "execution CANCELLED"],
  ...["script waits", "ideal end", "task for JSON", "left"],
];

test("every promise is kept, whatever fails", async () => {
  const reached = new Set<string>();
  for (const seed of seeds) {
    const report = await simulate(seed, evaluate);
    if (report.violation !== undefined) throw new Error(describeFailure(report));
    for (const one of report.reached) reached.add(one);
  }
  expect(mustReach.filter((one) => !reached.has(one))).toEqual([]);
}, 120_000);

test("a seed always tells the same story", async () => {
  for (const seed of seeds.slice(0, 10)) {
    const [first, second] = [await simulate(seed, evaluate), await simulate(seed, evaluate)];
    expect(second.fingerprint).toBe(first.fingerprint);
    expect(second.callbacks).toBe(first.callbacks);
  }
}, 60_000);
