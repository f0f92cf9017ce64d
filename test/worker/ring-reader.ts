/** The thread at the other end of a ring: reads numbers in order, and tells how many it was asked for. */
import { parentPort, workerData } from "node:worker_threads";
import { TextRing } from "../../src/worker/text-ring.ts";

const { memory, count } = workerData as { memory: SharedArrayBuffer; count: number };
const ring = new TextRing(memory);
for (let next = 0; next < count; ) {
  for (const text of ring.read()) {
    if (text !== `number ${next}`) throw new Error(`${text} instead of ${next}`);
    next += 1;
  }
}
parentPort!.postMessage(count);
