/**
 * `bun run simulate`: whole servers and workers on simulated time, with faults, one seed after the
 * other. `--seed S` alone runs that one; `--minutes M` goes on from there for so long.
 */
import { parseArgs } from "node:util";
import { openEvaluator } from "../test/sim/scripts.ts";
import { describeFailure, simulate } from "../test/sim/simulation.ts";

const { values: options } = parseArgs({
  options: { minutes: { type: "string" }, seed: { type: "string" } },
});
const first = Number(options.seed ?? Math.floor(Math.random() * 1_000_000) * 1_000);
const isOne = options.minutes === undefined && options.seed !== undefined;
const untilMs = performance.now() + Number(options.minutes ?? 1) * 60_000;
if (!Number.isInteger(first) || Number.isNaN(untilMs)) {
  console.error("--seed is a whole number, --minutes a number.");
  process.exit(2);
}

const evaluate = await openEvaluator();
const sums = { seeds: 0, executions: 0, callbacks: 0, simulatedMs: 0 };
for (let seed = first; ; seed++) {
  const report = await simulate(seed, evaluate);
  if (report.violation !== undefined) {
    console.error(describeFailure(report));
    process.exit(1);
  }
  sums.seeds += 1;
  sums.executions += report.executions;
  sums.callbacks += report.callbacks;
  sums.simulatedMs += report.simulatedMs;
  if (isOne || performance.now() > untilMs) break;
}
const hours = (sums.simulatedMs / 3_600_000).toFixed(1);
console.log(
  `Seeds ${first} to ${first + sums.seeds - 1}: every promise was kept; ${sums.executions} ` +
    `executions, ${hours} simulated hours, ${sums.callbacks} events.`,
);
process.exit(0);
