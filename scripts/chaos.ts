/**
 * `bun run chaos`: real servers, workers and Redis as processes, under load and under faults, and a
 * check of every promise when all of it has healed. Ends with 1 when one was broken. A seed repeats the
 * choices of faults and load, not the moments at which processes act on them.
 */

import { printReport } from "../test/chaos/report.ts";
import { runChaos, targets } from "../test/chaos/run.ts";
import { redisMissing } from "../test/support/redis.ts";
import { readOptions, refuse } from "./options.ts";

const values = readOptions(
  "Real processes under load and under faults; then every promise is checked.",
  {
    target: { type: "string", default: "redis", about: `one of ${targets.join(", ")}` },
    seconds: { type: "string", default: "60", about: "of load and faults" },
    seed: {
      type: "string",
      default: `${Math.floor(Math.random() * 1_000_000)}`,
      about: "of the choices of faults and load; by chance unless given",
    },
    rate: { type: "string", default: "25", about: "executions started a second" },
    only: {
      type: "string",
      default: "",
      about: "parts of names of faults, with commas: no others strike",
    },
    keep: { type: "boolean", default: false, about: "the folder with logs and stores stays" },
    workers: { type: "string", default: "4", about: "worker processes" },
  },
);
const target = targets.find((one) => one === values.target);
const [seconds, seed] = [Number(values.seconds), Number(values.seed)];
const [startsPerSecond, workers] = [Number(values.rate), Number(values.workers)];
if (target === undefined || ![seconds, seed, startsPerSecond, workers].every(Number.isInteger)) {
  refuse(`--target is one of ${targets.join(", ")}; the others are whole numbers.`);
}
if (target !== "sqlite" && redisMissing !== undefined) {
  refuse(redisMissing);
}

const report = await runChaos({
  ...{ target, seconds, seed, startsPerSecond, workers },
  ...{ keep: values.keep, only: values.only },
});
printReport(report);
for (const { sentence, atMs } of report.violations) {
  console.error(`VIOLATION after ${(atMs / 1_000).toFixed(1)} s: ${sentence}`);
}
if (report.violations.length > 0) {
  const only = values.only === "" ? "" : ` --only "${values.only}"`;
  const again = `--target ${target} --seconds ${seconds} --seed ${seed}${only}`;
  console.error(`Again: npm run chaos -- ${again}`);
}
process.exit(report.violations.length > 0 ? 1 : 0);
