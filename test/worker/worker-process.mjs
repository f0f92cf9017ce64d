/** A worker in a separate process, on Bun or on Node.js: `worker-process.mjs SERVER TRANSPORT`. */
import { existsSync } from "node:fs";
import { Worker } from "orchy/worker";

const [server, transport] = process.argv.slice(2);
const worker = new Worker({ server, transport });

worker.action("echo", (input, { attempt }) => ({ input, attempt }));
worker.action("decline", () => {
  throw Object.assign(new Error("too much"), { code: "CARD_DECLINED", retryable: false });
});
worker.action("block", async ({ untilFile }, { signal }) => {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  while (!existsSync(untilFile)) Atomics.wait(cell, 0, 0, 5);
  await new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", resolve);
  });
  console.log(`stopped: ${signal.reason.reason}`);
});
worker.action("slow", async ({ ms }) => {
  console.log("slow has begun");
  await new Promise((resolve) => setTimeout(resolve, ms));
  return "slow has ended";
});

await worker.run();
console.log("drained");
