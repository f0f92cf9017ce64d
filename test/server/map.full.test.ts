/** A map of the most items there may be, in a process whose memory stays bounded. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { limits } from "../../src/base/limits.ts";
import { temporaryFolder } from "../store/temporary.ts";
import { call, createWorker, saveWorkflow, startExecution } from "../support/orchy.ts";
import { freePort } from "../support/ports.ts";
import { startProcess } from "../support/process.ts";

/** What a server takes at most; it took 200 MiB, and 120 without any work. */
const memoryMax = 500;

function residentMebibytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

test("a map of the most items runs to its end, in bounded memory", async () => {
  const folder = temporaryFolder();
  const http = freePort();
  const { child } = await startProcess(`sqlite:${folder.path}/orchy.db`, { http });
  const server = { url: `http://127.0.0.1:${http}` };
  await saveWorkflow(server, {
    name: "most",
    rootAction: "all",
    actions: [
      {
        id: "all",
        type: "system",
        name: "map",
        items: "$.input.list",
        action: "most",
        parameters: { n: "$.item" },
        next: { default: "end" },
      },
      {
        id: "end",
        type: "system",
        name: "transform",
        parameters: { last: `$.all.output.results[${limits.mapItemsMax - 1}]` },
      },
    ],
    output: "$.end.output",
  });
  const worker = createWorker(server);
  worker.action("most", { concurrency: 200 }, async ({ n }) => ({ n, text: "x".repeat(60) }));
  await worker.start();
  const list = Array.from({ length: limits.mapItemsMax }, (_, n) => n);
  const id = await startExecution(server, "most", { list });
  let most = 0;
  let answer = await call(server, "GET", `/v1/executions/${id}/result?wait=1`);
  while (answer.body.status === "RUNNING") {
    most = Math.max(most, residentMebibytes(child.pid));
    answer = await call(server, "GET", `/v1/executions/${id}/result?wait=1`);
  }
  expect(answer.body.status).toBe("COMPLETED");
  expect(answer.body.result.last.n).toBe(limits.mapItemsMax - 1);
  expect(most).toBeLessThan(memoryMax);
  await worker.stop();
  child.kill("SIGTERM");
  await child.exited;
  folder.remove();
}, 600_000);
