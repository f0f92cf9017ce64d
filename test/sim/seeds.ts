/** Many simulations, over the seeds that a test file gives; together they reach what any must reach. */
import { expect, test } from "bun:test";
import { openEvaluator } from "./scripts.ts";
import { describeFailure, type SimulationOptions, simulate } from "./simulation.ts";

/** Reached by any fair run of that length; one that is missing means that faults have lost their bite. */
const mustReach = [
  ...["create created", "create exists", "create tombstone"],
  ...["commit committed", "commit already_committed", "commit conflict", "commit stale"],
  ...["extendLeases extended", "extendLeases stale", "extendLeases cancelled"],
  ...["releaseTasks released", "releaseTasks stale", "remove removed", "hand-off", "lapse", "cut"],
  ...["claimTask claimed", "claimTask leased", "claimTask held", "claimTask unknown"],
  ...["result accepted", "result duplicate", "result stale", "result retry"],
  ...["execution COMPLETED", "execution FAILED", "execution TIMED_OUT", "execution CANCELLED"],
  ...["script waits", "ideal end", "task for JSON", "left"],
  ...["child ended", "round ended", "child cancelled"],
  ...["operation retry", "operation rerun", "operation fork", "operation skip"],
  ...["operation complete", "operation fail"],
];

interface SeedOptions extends Pick<SimulationOptions, "shared" | "consumers"> {
  /** Outcomes that these seeds must reach; absent: what any fair run does. */
  readonly reaches?: readonly string[];
  /** Of those, what cannot be reached. */
  readonly exceptFor?: readonly string[];
}

export function simulateSeeds(
  first: number,
  count: number,
  { reaches = mustReach, exceptFor = [], ...options }: SeedOptions = {},
): void {
  test(`every promise is kept, whatever fails (${options.shared ?? "memory"})`, async () => {
    const evaluate = await openEvaluator();
    const reached = new Set<string>();
    for (let seed = first; seed < first + count; seed++) {
      const report = await simulate(seed, evaluate, options);
      if (report.violation !== undefined) throw new Error(describeFailure(report, options));
      for (const one of report.reached) reached.add(one);
    }
    const missed = reaches.filter((one) => !reached.has(one) && !exceptFor.includes(one));
    expect(missed).toEqual([]);
  }, 400_000);
}
