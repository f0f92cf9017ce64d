/**
 * `bun run bench:waiting`: what many executions that wait for a signal cost a server, and whether the
 * others notice. Prints tables; nothing here passes or fails.
 *
 * - *starts*: of those that wait, so many a second, and what they leave in memory.
 * - *idle*: the server while they wait and nobody does anything.
 * - *signals*: from a signal to the result of its execution, for executions spread over all of them.
 * - *chain of 5*: from start to result, before there were any and beside them.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { integer } from "../src/config/settings.ts";
import { inTurns } from "../src/store/kit/in-turns.ts";
import { readMetrics, total } from "../test/support/metrics.ts";
import {
  call,
  chain,
  percentile,
  start,
  startMany,
  startServer,
  startWorker,
  stop,
  storeIn,
  usage,
} from "./bench/support.ts";
import { readOptions } from "./options.ts";

const options = readOptions("What executions cost that wait: memory, requests, latency.", {
  store: { type: "string", default: "sqlite", about: "sqlite (a new file), or as a server's" },
  waiting: { type: "string", default: "100000", about: "executions", read: integer(1, 10 ** 7) },
  signals: { type: "string", default: "1000", about: "are sent", read: integer(1, 10 ** 6) },
  idle: { type: "string", default: "60", about: "seconds without work", read: integer(1, 3_600) },
  lanes: { type: "string", default: "32", about: "calls at a time", read: integer(1, 256) },
});
const { waiting, lanes } = options;
/** For what the starts have left to do, and until looks are as rare as they get. */
const settleMs = 30_000;
const signals = Math.min(options.signals, waiting);
const signalsAtOnce = 8;

const folder = mkdtempSync(join(tmpdir(), "orchy-bench-"));
const store = storeIn(folder, options.store);
const server = await startServer({ store });
const { url } = server;

const memory = () => usage(server.process.pid).rss.toFixed(0);
const cpu = () => usage(server.process.pid).cpu;
const ms = (times: readonly number[]) => ({
  "p50 ms": percentile(times, 0.5).toFixed(1),
  "p99 ms": percentile(times, 0.99).toFixed(1),
});

/** Calls of the store, and requests that are billed. */
async function calls() {
  const samples = await readMetrics(server);
  return {
    "store calls": total(samples, "orchy_store_call_seconds_count"),
    "requests to DynamoDB": total(samples, "orchy_dynamodb_requests_total"),
  };
}

async function chains() {
  const worker = await startWorker(url, { transport: "http2", polls: 4 });
  const times: number[] = [];
  for (let i = -100; i < 300; i++) {
    const begun = performance.now();
    const { status } = await start(url, "bench-chain", { wait: 30 });
    if (status !== "COMPLETED") throw new Error(`a chain ended ${status}`);
    if (i >= 0) times.push(performance.now() - begun);
  }
  await stop(worker);
  return times;
}

async function startWaiting() {
  const before = { cpu: cpu(), rss: memory() };
  const begun = performance.now();
  const ids = await startMany([url], "bench-wait", { count: waiting, lanes });
  const seconds = (performance.now() - begun) / 1_000;
  console.table([
    {
      "executions waiting": waiting,
      "starts/s": Math.round(waiting / seconds),
      "server µs/start": Math.round(((cpu() - before.cpu) * 1e6) / waiting),
      "server MiB before": before.rss,
      "server MiB": memory(),
    },
  ]);
  return ids;
}

async function idle() {
  await Bun.sleep(settleMs);
  const [busy, before] = [cpu(), await calls()];
  await Bun.sleep(options.idle * 1_000);
  const [used, after] = [cpu() - busy, await calls()];
  const rate = (name: keyof typeof after) =>
    ((after[name] - before[name]) / options.idle).toFixed(1);
  console.table([
    {
      "idle for s": options.idle,
      "server CPU ms/s": ((used * 1_000) / options.idle).toFixed(1),
      "store calls/s": rate("store calls"),
      "requests to DynamoDB/s": rate("requests to DynamoDB"),
      "server MiB": memory(),
    },
  ]);
}

/** To every so-manieth execution. */
async function signal(ids: readonly string[]) {
  const numbers = Array.from({ length: signals }, (_, i) => i);
  const begun = performance.now();
  const times = await inTurns(signalsAtOnce, numbers, async (i) => {
    const id = ids[Math.floor((i * ids.length) / signals)];
    const sentAt = performance.now();
    await call(url, `/v1/executions/${id}/signal`, { event: "go", payload: i });
    const response = await fetch(`${url}/v1/executions/${id}/result?wait=30`);
    const { status } = (await response.json()) as { status: string };
    if (status !== "COMPLETED") throw new Error(`${id} is ${status} after its signal`);
    return performance.now() - sentAt;
  });
  const seconds = (performance.now() - begun) / 1_000;
  console.table([{ signals, "signals/s": Math.round(signals / seconds), ...ms(times) }]);
}

try {
  await call(url, "/v1/workflows", chain("bench-chain", 5));
  await call(url, "/v1/workflows", {
    name: "bench-wait",
    rootAction: 1,
    actions: [{ id: 1, type: "system", name: "wait", event: "go", timeoutSeconds: 86_400 }],
  });
  const alone = await chains();
  const ids = await startWaiting();
  await idle();
  await signal(ids);
  const beside = await chains();
  console.table([
    { "chain of 5": "alone", ...ms(alone) },
    { "chain of 5": "beside those that wait", ...ms(beside) },
  ]);
} finally {
  await stop(server);
  rmSync(folder, { recursive: true, force: true });
}
