/**
 * `bun run simulate`: whole servers and workers on simulated time, with faults, one seed after the
 * other. `--seed S` alone runs that one; `--minutes M` goes on from there for so long. `--records`: on
 * the records store, whose servers fail between any two of its primitives. `--consumers`: consumers of
 * a broker do some tasks.
 */
import { decimal, integer } from "../src/config/settings.ts";
import { openEvaluator } from "../test/sim/scripts.ts";
import { describeFailure, type SimulationOptions, simulate } from "../test/sim/simulation.ts";
import { readOptions } from "./options.ts";

const options = readOptions("Whole servers and workers on simulated time, with faults.", {
  minutes: {
    type: "string",
    about: "so long, one seed after the other [1 without a seed]",
    read: decimal(0, 10_080),
  },
  seed: {
    type: "string",
    about: "the first one, or alone the only one; by chance unless given",
    read: integer(0, 999_999_999),
  },
  records: {
    type: "boolean",
    about: "on the records store, on a database in memory",
  },
  consumers: {
    type: "boolean",
    about: "some tasks are done by consumers of a broker",
  },
});
const world: SimulationOptions = {
  shared: options.records ? "records" : "memory",
  consumers: options.consumers === true,
};
const first = options.seed ?? Math.floor(Math.random() * 1_000_000) * 1_000;
const isOne = options.minutes === undefined && options.seed !== undefined;
const untilMs = performance.now() + (options.minutes ?? 1) * 60_000;

const evaluate = await openEvaluator();
const sums = { seeds: 0, executions: 0, callbacks: 0, simulatedMs: 0 };
for (let seed = first; ; seed++) {
  const report = await simulate(seed, evaluate, world);
  if (report.violation !== undefined) {
    console.error(describeFailure(report, world));
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
