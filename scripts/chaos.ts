/**
 * `bun run chaos`: real servers, workers and Redis as processes, under load and under faults, and a
 * check of every promise when all of it has healed. Ends with 1 when one was broken. A seed repeats the
 * choices of faults and load, not the moments at which processes act on them.
 */
import { parseArgs } from "node:util";
import { redisMissing } from "../test/support/redis.ts";
import { printReport } from "./chaos/report.ts";
import { runChaos, type Target, targets } from "./chaos/run.ts";

const { values } = parseArgs({
  options: {
    target: { type: "string", default: "redis" },
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: `${Math.floor(Math.random() * 1_000_000)}` },
    rate: { type: "string", default: "25" },
    only: { type: "string", default: "" },
    keep: { type: "boolean", default: false },
    workers: { type: "string", default: "4" },
  },
});
const target = targets.find((one) => one === values.target) as Target;
const [seconds, seed] = [Number(values.seconds), Number(values.seed)];
const [startsPerSecond, workers] = [Number(values.rate), Number(values.workers)];
if (target === undefined || ![seconds, seed, startsPerSecond, workers].every(Number.isInteger)) {
  console.error(`--target is one of ${targets.join(", ")}; the others are whole numbers.`);
  process.exit(2);
}
if (target !== "sqlite" && redisMissing !== undefined) {
  console.error(redisMissing);
  process.exit(2);
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
