/**
 * `bun run bench`: one server on SQLite, one TypeScript worker in a separate process, chains of 1
 * and 5 user actions. Prints tables; nothing here passes or fails.
 *
 * The worker has so many polls at a time (`--polls`) and runs 100 tasks for each at once.
 *
 * - *drain*: executions are started first, then the worker comes: the engine and the worker path.
 * - *loop*: so many executions are kept under way all the time: starts are part of the load.
 * - *long chains*: as many steps in chains of 10 as of 1,000: a step of either should cost the same.
 * - *payloads*: a backlog of chains of 5 whose actions pass on a payload of so many bytes.
 * - *idle*, *half load*: latency of whole chains, divided by their steps.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { integer } from "../src/config/settings.ts";
import {
  allEnded,
  call,
  chain,
  median,
  payloadChain,
  percentile,
  type Running,
  start,
  startMany,
  startServer,
  startWorker,
  stop,
  storeIn,
  usage,
} from "./bench/support.ts";
import { readOptions } from "./options.ts";

const options = readOptions("One server and one worker: steps a second, latency and memory.", {
  rounds: {
    type: "string",
    default: "3",
    about: "of each measurement; the median is shown",
    read: integer(1, 1_000),
  },
  executions: { type: "string", default: "10000", about: "in a drain", read: integer(1, 10 ** 7) },
  payloads: {
    type: "string",
    default: "10000,100000,1000000",
    about: "bytes that chains of 5 pass on; 0: none",
  },
  store: {
    type: "string",
    default: "sqlite",
    about: "sqlite (a new file each time), or as a server's",
  },
  transport: { type: "string", default: "http2,http1", about: "of the worker" },
  polls: {
    type: "string",
    default: "4",
    about: "that the worker has under way at once",
    read: integer(1, 8),
  },
  partitions: { type: "string", about: "of the store" },
  profile: { type: "boolean", default: false, about: "of the server's processor time" },
});

const { polls } = options;
const longChains = [10, 1_000];

function open(folder: string): Promise<Running> {
  const store = storeIn(folder, options.store);
  return startServer({ store, partitions: options.partitions, profile: options.profile });
}

interface Throughput {
  readonly executionsPerSecond: number;
  readonly stepsPerSecond: number;
  readonly serverMicros: number;
  readonly workerMicros: number;
  readonly serverRss: number;
  readonly workerRss: number;
}

async function measure(
  server: Running,
  worker: Running,
  steps: number,
  executions: number,
  work: () => Promise<void>,
): Promise<Throughput> {
  const serverBefore = usage(server.process.pid);
  const workerBefore = usage(worker.process.pid);
  const begun = performance.now();
  await work();
  const seconds = (performance.now() - begun) / 1000;
  const serverAfter = usage(server.process.pid);
  const workerAfter = usage(worker.process.pid);
  const total = executions * steps;
  return {
    executionsPerSecond: executions / seconds,
    stepsPerSecond: total / seconds,
    serverMicros: ((serverAfter.cpu - serverBefore.cpu) * 1e6) / total,
    workerMicros: ((workerAfter.cpu - workerBefore.cpu) * 1e6) / total,
    serverRss: serverAfter.rss,
    workerRss: workerAfter.rss,
  };
}

interface Backlog {
  readonly workflow: string;
  readonly steps: number;
  readonly executions: number;
  readonly value?: unknown;
}

async function drain(server: Running, transport: string, backlog: Backlog): Promise<Throughput> {
  const { workflow, steps, executions, value } = backlog;
  const ids = await startMany([server.url], workflow, { count: executions, value });
  const worker = await startWorker(server.url, { transport, polls });
  const result = await measure(server, worker, steps, executions, () => allEnded(server.url, ids));
  await stop(worker);
  return result;
}

function drainChain(server: Running, transport: string, steps: number): Promise<Throughput> {
  const workflow = `bench-chain-${steps}`;
  return drain(server, transport, { workflow, steps, executions: options.executions });
}

/** As many executions as pass on 30 MB in a step, at most those of a drain of small ones. */
function drainPayload(server: Running, transport: string, bytes: number): Promise<Throughput> {
  const executions = Math.min(options.executions, Math.ceil(30_000_000 / bytes));
  const value = "x".repeat(bytes);
  return drain(server, transport, { workflow: "bench-payload-5", steps: 5, executions, value });
}

async function loop(server: Running, transport: string, steps: number): Promise<Throughput> {
  const executions = options.executions;
  const worker = await startWorker(server.url, { transport, polls });
  const result = await measure(server, worker, steps, executions, async () => {
    const ids = await startMany([server.url], `bench-chain-${steps}`, { count: executions });
    await allEnded(server.url, ids);
  });
  await stop(worker);
  return result;
}

async function tenAtATime(server: Running, transport: string, steps: number): Promise<Throughput> {
  const executions = Math.max(10, Math.ceil(options.executions / steps));
  const worker = await startWorker(server.url, { transport, polls });
  const result = await measure(server, worker, steps, executions, async () => {
    await latencies(server.url, steps, executions, 10);
  });
  await stop(worker);
  return result;
}

/** Whole chains from start to result, in milliseconds, with this many under way at a time. */
async function latencies(url: string, steps: number, count: number, lanes: number) {
  const times: number[] = [];
  let left = count;
  const lane = async () => {
    while (left-- > 0) {
      const begun = performance.now();
      const { id, status } = await start(url, `bench-chain-${steps}`, { wait: 30 });
      // A long one may take longer where each step is a request to another machine.
      if (status !== "COMPLETED") await allEnded(url, [String(id)]);
      times.push(performance.now() - begun);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return times;
}

function row(name: string, results: readonly Throughput[]) {
  const of = (key: keyof Throughput) => Math.round(median(results.map((result) => result[key])));
  return {
    name,
    "executions/s": of("executionsPerSecond"),
    "steps/s": of("stepsPerSecond"),
    "server µs/step": of("serverMicros"),
    "worker µs/step": of("workerMicros"),
    "server MiB": of("serverRss"),
    "worker MiB": of("workerRss"),
  };
}

const folder = mkdtempSync(join(tmpdir(), "orchy-bench-"));
const server = await open(folder);
try {
  for (const steps of [1, 5, ...longChains])
    await call(server.url, "/v1/workflows", chain(`bench-chain-${steps}`, steps));
  const transports = options.transport.split(",");
  const { rounds } = options;
  await call(server.url, "/v1/workflows", payloadChain("bench-payload-5", 5));
  const payloads = options.payloads.split(",").map(Number).filter(Boolean);

  const results = new Map<string, Throughput[]>();
  const keep = (name: string, result: Throughput) =>
    results.set(name, [...(results.get(name) ?? []), result]);
  // One round warms up and is not counted; then the variants take turns.
  for (let round = 0; round <= rounds; round++) {
    for (const transport of transports) {
      for (const steps of [1, 5]) {
        const drained = await drainChain(server, transport, steps);
        const looped = await loop(server, transport, steps);
        if (round === 0) continue;
        keep(`chain of ${steps}, ${transport}, drain`, drained);
        keep(`chain of ${steps}, ${transport}, loop`, looped);
      }
      for (const steps of longChains) {
        const lanes = await tenAtATime(server, transport, steps);
        if (round > 0) keep(`chain of ${steps}, ${transport}, 10 at a time`, lanes);
      }
      for (const bytes of payloads) {
        const drained = await drainPayload(server, transport, bytes);
        if (round > 0) keep(`chain of 5, ${transport}, ${bytes / 1000} KB payloads`, drained);
      }
    }
  }
  console.table([...results].map(([name, list]) => row(name, list)));

  const latencyRows = [];
  for (const transport of transports) {
    const worker = await startWorker(server.url, { transport, polls });
    // What the drains wrote would otherwise go to the disk at the same time.
    Bun.spawnSync(["sync"]);
    for (const [load, lanes] of [["idle", 1] as const, ["half load", 8] as const]) {
      for (const steps of [1, 5]) {
        await latencies(server.url, steps, 500 * lanes, lanes);
        const times = await latencies(server.url, steps, 400 * lanes, lanes);
        latencyRows.push({
          name: `chain of ${steps}, ${transport}, ${load}`,
          "chain p50 ms": percentile(times, 0.5).toFixed(2),
          "chain p99 ms": percentile(times, 0.99).toFixed(2),
          "step p50 ms": (percentile(times, 0.5) / steps).toFixed(2),
          "step p99 ms": (percentile(times, 0.99) / steps).toFixed(2),
        });
      }
    }
    await stop(worker);
  }
  console.table(latencyRows);
} finally {
  await stop(server);
}

rmSync(folder, { recursive: true, force: true });
