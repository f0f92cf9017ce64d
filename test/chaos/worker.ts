/**
 * A worker of the chaos run, in a separate process: `worker.ts RUNS_FILE URL…`. Every run of a
 * handler is written down before anything else happens, so that no kill can hide one.
 */
import { appendFileSync } from "node:fs";
import { NonRetryableError, type TaskContext, Worker } from "../../src/worker/index.ts";
import { patience } from "./workflows.ts";

const [runsFile, ...servers] = process.argv.slice(2) as [string, ...string[]];
const quiet = { info() {}, warn() {}, error() {} };
const worker = new Worker({ server: servers, logger: quiet });

let runs = 0;

/** Returns a name for this run, which shows in the output later. */
function noteRun({ executionId, actionId, attempt }: TaskContext): string {
  runs += 1;
  appendFileSync(runsFile, `${executionId} ${actionId} ${attempt}\n`);
  return `${worker.workerId}/${runs}`;
}

interface StepInput {
  readonly n: number;
  readonly saw?: string | null;
  readonly ms?: number;
  readonly failures?: number;
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

worker.action("chaos-poison", { ...patience, retryCount: 2 }, (_: StepInput, context) => {
  noteRun(context);
  process.kill(process.pid, "SIGKILL");
});

await worker.run();
process.exit(0);
