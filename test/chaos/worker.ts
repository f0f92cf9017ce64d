/**
 * A worker of the chaos run, in a separate process: `worker.ts RUNS_FILE URL…`. Every run of a
 * handler is written down before anything else happens, so that no kill can hide one.
 */
import { appendFileSync, existsSync } from "node:fs";
import { dirname } from "node:path";
import { NonRetryableError, type TaskContext, Worker } from "../../src/worker/index.ts";
import { gateOf } from "./hands.ts";
import { patience } from "./workflows.ts";

const [runsFile, ...servers] = process.argv.slice(2) as [string, ...string[]];
const folder = dirname(runsFile);
const quiet = { info() {}, warn() {}, error() {} };
const worker = new Worker({ server: servers, logger: quiet });

let runs = 0;

/** Returns a name for this run, which shows in the output later. */
function noteRun({ executionId, actionId, attempt, index }: TaskContext): string {
  runs += 1;
  appendFileSync(runsFile, `${executionId} ${actionId} ${index ?? "-"} ${attempt}\n`);
  return `${worker.workerId}/${runs}`;
}

interface StepInput {
  readonly n: number;
  readonly saw?: string | null;
  readonly ms?: number;
  readonly failures?: number;
  readonly add?: number;
  readonly failAt?: number;
}

worker.action("chaos-step", patience, (input: StepInput, context) => {
  const run = noteRun(context);
  return { n: input.n + 1, saw: input.saw ?? null, run };
});

worker.action("chaos-slow", patience, async (input: StepInput, context) => {
  const run = noteRun(context);
  await Bun.sleep(input.ms ?? 0);
  return { n: input.n + 1, saw: input.saw ?? null, run };
});

worker.action("chaos-flaky", patience, (input: StepInput, context) => {
  const run = noteRun(context);
  if (context.attempt <= (input.failures ?? 0)) throw new Error("this attempt fails on purpose");
  return { n: input.n + 1, saw: input.saw ?? null, run };
});

worker.action("chaos-fail", patience, (_: StepInput, context) => {
  noteRun(context);
  throw new NonRetryableError("DECLINED", "this action always fails");
});

worker.action("chaos-item", patience, (input: StepInput, context) => {
  const run = noteRun(context);
  if (context.index !== undefined && context.index % 5 === input.failAt) {
    throw new NonRetryableError("DECLINED", "this item always fails");
  }
  return { n: input.n + (input.add ?? 0) + 1, run };
});

worker.action("chaos-gated", patience, (input: StepInput, context) => {
  const run = noteRun(context);
  const isClosed =
    (context.index ?? 0) % 4 === 1 && !existsSync(gateOf(folder, context.executionId));
  if (isClosed) throw new NonRetryableError("CLOSED", "this item fails until its gate is open");
  return { n: input.n + (input.add ?? 0) + 1, run };
});

worker.action("chaos-poison", { ...patience, retryCount: 2 }, (_: StepInput, context) => {
  noteRun(context);
  process.kill(process.pid, "SIGKILL");
});

await worker.run();
process.exit(0);
