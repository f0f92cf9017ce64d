/**
 * `bun run chaos`: real servers, workers and Redis as processes, under load and under faults, and a
 * check of every promise when all of it has healed. Ends with 1 when one was broken. A seed repeats the
 * choices of faults and load, not the moments at which processes act on them.
 */

import { integer } from "../src/config/settings.ts";
import { brokerMissing, queues } from "../test/chaos/broker.ts";
import { printReport } from "../test/chaos/report.ts";
import { runChaos, targets } from "../test/chaos/run.ts";
import { dynoxideMissing } from "../test/support/brokers/dynoxide.ts";
import { cassandraMissing } from "../test/support/cassandra.ts";
import { postgresMissing } from "../test/support/postgres.ts";
import { redisMissing } from "../test/support/redis.ts";
import { readOptions, refuse } from "./options.ts";

const values = readOptions(
  "Real processes under load and under faults; then every promise is checked.",
  {
    target: { type: "string", default: "redis", about: `one of ${targets.join(", ")}` },
    queue: {
      type: "string",
      default: "",
      about: `what carries tickets, one of ${queues.join(", ")}; the store unless given`,
    },
    seconds: {
      type: "string",
      default: "60",
      about: "of load and faults",
      read: integer(1, 86_400),
    },
    seed: {
      type: "string",
      default: `${Math.floor(Math.random() * 1_000_000)}`,
      about: "of the choices of faults and load; by chance unless given",
      read: integer(0, 999_999_999),
    },
    rate: {
      type: "string",
      default: "25",
      about: "executions started a second",
      read: integer(1, 1_000),
    },
    only: {
      type: "string",
      default: "",
      about: "parts of names of faults, with commas: no others strike",
    },
    keep: { type: "boolean", default: false, about: "the folder with logs and stores stays" },
    workers: { type: "string", default: "4", about: "worker processes", read: integer(1, 100) },
  },
);
const target = targets.find((one) => one === values.target);
const { seconds, seed, rate: startsPerSecond, workers } = values;
if (target === undefined) refuse(`--target must be one of ${targets.join(", ")}.`);
const queue = queues.find((one) => one === values.queue);
if (queue === undefined && values.queue !== "")
  refuse(`--queue must be one of ${queues.join(", ")}.`);
const queueMissing = queue && (await brokerMissing(queue));
if (queueMissing !== undefined) refuse(queueMissing);
const missing = {
  redis: redisMissing,
  cluster: redisMissing,
  postgres: postgresMissing,
  dynamodb: target === "dynamodb" ? await dynoxideMissing() : undefined,
  cassandra: target === "cassandra" ? await cassandraMissing() : undefined,
  sqlite: undefined,
}[target];
if (missing !== undefined) refuse(missing);

const report = await runChaos({
  target,
  queue,
  seconds,
  seed,
  startsPerSecond,
  workers,
  keep: values.keep,
  only: values.only,
});
printReport(report);
for (const { sentence, atMs } of report.violations) {
  console.error(`VIOLATION after ${(atMs / 1_000).toFixed(1)} s: ${sentence}`);
}
if (report.violations.length > 0) {
  const only = values.only === "" ? "" : ` --only "${values.only}"`;
  const carried = queue === undefined ? "" : ` --queue ${queue}`;
  const again = `--target ${target}${carried} --seconds ${seconds} --seed ${seed}${only}`;
  console.error(`Again: npm run chaos -- ${again}`);
}
process.exit(report.violations.length > 0 ? 1 : 0);
