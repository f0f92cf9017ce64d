/** The worker of the benchmark, in a process of its own: `worker.ts URL TRANSPORT`. */
import { Worker } from "../../src/worker/index.ts";

const [server, transport] = process.argv.slice(2) as [string, "http1" | "http2"];

const worker = new Worker({ server, transport });
worker.action("bench-step", { concurrency: 200 }, async () => ({ value: 1 }));
await worker.start();
console.log("ready");
process.on("SIGTERM", async () => {
  await worker.stop();
  process.exit(0);
});
