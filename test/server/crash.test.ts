/**
 * kill -9 of the whole server in the middle of load, several times, hundreds of executions in
 * flight: nothing that was acknowledged is lost, and everything comes to its end by itself.
 */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { Worker } from "../../src/worker/index.ts";
import { call } from "../support/orchy.ts";
import { freePort } from "../support/ports.ts";
import { startProcess } from "../support/process.ts";

const kills = 4;
const executionsPerLife = 150;
const folder = mkdtempSync(join(tmpdir(), "orchy-crash-"));
let process_: Subprocess<"ignore", "pipe", "inherit"> | undefined;

afterAll(() => {
  process_?.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

/** Returns the port, which the next one takes again. */
async function startServer(http: number): Promise<number> {
  const started = await startProcess(`sqlite:${folder}/orchy.db`, { http });
  process_ = started.child;
  return started.port;
}

/** Undefined when the server was not there to answer. */
async function attempt(work: () => Promise<{ status: number; body: { id?: string } }>) {
  try {
    const { status, body } = await work();
    return status < 300 ? (body ?? {}) : undefined;
  } catch {
    return undefined;
  }
}

test("nothing acknowledged is lost when the server is killed under load", async () => {
  const port = await startServer(freePort());
  const server = { url: `http://127.0.0.1:${port}` };
  const saved = await call(server, "POST", "/v1/workflows", {
    name: "crash",
    rootAction: "a",
    output: { seen: "$.w.output.payload", last: "$.c.output.n" },
    actions: [
      { id: "a", type: "user", name: "crash-step", next: { default: ["b", "w"] } },
      { id: "b", type: "user", name: "crash-step", next: { default: "c" } },
      { id: "w", type: "system", name: "wait", event: "go", next: { default: "c" } },
      { id: "c", type: "user", name: "crash-step", parameters: { n: "$.input.n" } },
    ],
  });
  expect(saved.status).toBeLessThan(300);

  const quiet = { debug() {}, info() {}, warn() {}, error() {} };
  const worker = new Worker({ server: server.url, logger: quiet });
  worker.action("crash-step", { concurrency: 200, timeoutSeconds: 5 }, async (input) => input);
  await worker.start();

  const acknowledged = new Map<string, number>();
  const signalled = new Set<string>();
  for (let life = 0; life < kills; life++) {
    let left = executionsPerLife;
    let alive = true;
    const killed = (async () => {
      // Somewhere in the middle: when a random share of the starts has been acknowledged.
      const enough = acknowledged.size + 20 + Math.random() * (executionsPerLife - 40);
      while (acknowledged.size < enough) await new Promise((resolve) => setImmediate(resolve));
      process_!.kill("SIGKILL");
      await process_!.exited;
      alive = false;
    })();
    const lane = async () => {
      while (alive && left-- > 0) {
        const n = acknowledged.size * 1_000 + left;
        const started = await attempt(() =>
          call(server, "POST", "/v1/executions", { workflow: "crash", input: { n } }),
        );
        if (started?.id === undefined) continue;
        acknowledged.set(started.id, n);
        const path = `/v1/executions/${started.id}/signal`;
        const sent = await attempt(() => call(server, "POST", path, { event: "go", payload: n }));
        if (sent !== undefined) signalled.add(started.id);
      }
    };
    await Promise.all([killed, ...Array.from({ length: 16 }, lane)]);
    await startServer(port);
  }
  expect(acknowledged.size).toBeGreaterThan(kills * 20);
  for (const [id, n] of acknowledged) {
    if (!signalled.has(id)) {
      // Its signal may have been applied without an answer: an id would make the repeat harmless.
      const path = `/v1/executions/${id}/signal`;
      await attempt(() => call(server, "POST", path, { event: "go", payload: n }));
    }
  }
  for (const [id, n] of acknowledged) {
    const { status, body } = await call(server, "GET", `/v1/executions/${id}/result?wait=30`);
    expect([status, body.status, body.result]).toEqual([200, "COMPLETED", { seen: n, last: n }]);
  }
  await worker.stop();
  process_?.kill("SIGTERM");
  await process_?.exited;
}, 120_000);
