/**
 * The worker of the benchmarks, in a separate process: `worker.ts URL TRANSPORT POLLS`. It has
 * room for as many tasks as its polls may bring.
 */
import { Worker } from "../../src/worker/index.ts";

const [server, transport, polls] = process.argv.slice(2) as [string, "http1" | "http2", string];
const tasksPerPoll = 100;

const pollers = Number(polls);
const worker = new Worker({ server, transport, pollers });
const concurrency = pollers * tasksPerPoll;
worker.action("bench-step", { concurrency }, async () => ({ value: 1 }));
worker.action("bench-payload", { concurrency }, async (input) => input);
await worker.start();
console.log("ready");
process.on("SIGTERM", async () => {
  await worker.stop();
  process.exit(0);
});
