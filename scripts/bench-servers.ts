/**
 * `bun run bench:servers --store redis://…`: what several servers on one store give. Prints tables.
 *
 * - *wake*: from a start at one server until a poll that waits at the same one, or at another, has
 *   its task.
 * - *timers*: how late delays end while a server joins, leaves in good order, or is killed.
 * - *load*: steps a second with one, two and three servers, a worker at each; the processor time is
 *   that of servers and workers. A first run, which is not shown, warms up.
 */

import { integer } from "../src/config/settings.ts";
import {
  allEnded,
  call,
  chain,
  percentile,
  type Running,
  startMany,
  startServer,
  startWorker,
  stop,
  usage,
} from "./bench/support.ts";
import { readOptions } from "./options.ts";

const options = readOptions("Several servers on one store: wake-ups, timers, steps a second.", {
  store: { type: "string", default: "redis://127.0.0.1:6379", about: "an empty one" },
  tasks: {
    type: "string",
    default: "500",
    about: "whose wake-up is timed, for each pair of servers",
    read: integer(1, 10 ** 6),
  },
  executions: { type: "string", default: "6000", about: "in each load", read: integer(1, 10 ** 7) },
  polls: {
    type: "string",
    default: "4",
    about: "that each worker has under way at once",
    read: integer(1, 8),
  },
});
const { store, polls } = options;
const delaySeconds = 3;

const single = (name: string, action: object) => ({
  name,
  rootAction: "a",
  actions: [{ id: "a", ...action }],
});

async function poll(server: Running, body: object): Promise<{ tasks?: { token: string }[] }> {
  return call(server.url, "/orchy.v1.WorkerService/Poll", { waitSeconds: 20, ...body });
}

/** Milliseconds from the sending of a start to the arrival of its task. */
async function wakes(from: Running, at: Running): Promise<number[]> {
  const times: number[] = [];
  let results: object[] = [];
  for (let count = 0; count < options.tasks; count++) {
    const waiting = poll(at, { actions: ["bench-wake"], results });
    // The poll is on its way before the start is sent, and there long before its task.
    await Bun.sleep(2);
    const begun = performance.now();
    await call(from.url, "/v1/executions", { workflow: "bench-wake", input: {} });
    const { tasks = [] } = await waiting;
    times.push(performance.now() - begun);
    results = tasks.map(({ token }) => ({ token, output: null }));
  }
  return times;
}

async function lateness(server: Running, ids: readonly string[]): Promise<number[]> {
  const late: number[] = [];
  for (const id of ids) {
    await fetch(`${server.url}/v1/executions/${id}/result?wait=30`);
    const response = await fetch(`${server.url}/v1/executions/${id}`);
    const { actions } = (await response.json()) as {
      actions: { startedAt: string; endedAt: string }[];
    };
    const { startedAt, endedAt } = actions[0]!;
    late.push(Date.parse(endedAt) - Date.parse(startedAt) - delaySeconds * 1000);
  }
  return late;
}

/** Delays started at one server, which is then done away with, or not; read at another. */
async function timers(stays: Running, end: "stays" | "SIGTERM" | "SIGKILL"): Promise<number[]> {
  const goes = await startServer({ store });
  const lane = async () => {
    const ids: string[] = [];
    for (let i = 0; i < 25; i++) {
      ids.push(String((await call(goes.url, "/v1/executions", { workflow: "bench-delay" })).id));
    }
    return ids;
  };
  const ids = (await Promise.all(Array.from({ length: 8 }, lane))).flat();
  if (end !== "stays") {
    goes.process.kill(end);
    await goes.process.exited;
  }
  const late = await lateness(stays, ids);
  if (end === "stays") await stop(goes);
  return late;
}

/**
 * A backlog of chains of 5 at several servers, then a worker comes to each; then chains that start.
 */
async function load(servers: readonly Running[]) {
  const count = options.executions;
  const urls = servers.map(({ url }) => url);
  const begin = () => startMany(urls, "bench-chain", { count, lanes: 48 });
  const backlog = await begin();
  const workers: Running[] = [];
  for (const url of urls) workers.push(await startWorker(url, { transport: "http2", polls }));
  const processes = [...servers, ...workers].map(({ process }) => process.pid);
  const cpu = () => processes.reduce((sum, pid) => sum + usage(pid).cpu, 0);
  const steps = count * 5;
  const measure = async (work: () => Promise<void>) => {
    const cpuBefore = cpu();
    const begun = performance.now();
    await work();
    const perSecond = Math.round(steps / ((performance.now() - begun) / 1000));
    return { perSecond, micros: Math.round(((cpu() - cpuBefore) * 1e6) / steps) };
  };
  const drained = await measure(() => allEnded(urls[0]!, backlog));
  const started = await measure(async () => allEnded(urls[0]!, await begin()));
  for (const worker of workers) await stop(worker);
  return {
    servers: servers.length,
    "backlog, steps/s": drained.perSecond,
    "CPU µs/step": drained.micros,
    "with starts, steps/s": started.perSecond,
    "with starts, CPU µs/step": started.micros,
  };
}

function row(name: string, times: readonly number[]) {
  const of = (share: number) => percentile(times, share).toFixed(1);
  return { name, "p50 ms": of(0.5), "p99 ms": of(0.99), "max ms": of(1) };
}

const one = await startServer({ store });
const two = await startServer({ store });
try {
  await call(one.url, "/v1/workflows", single("bench-wake", { type: "user", name: "bench-wake" }));
  const delay = { type: "system", name: "delay", delaySeconds };
  await call(one.url, "/v1/workflows", single("bench-delay", delay));
  await call(one.url, "/v1/workflows", chain("bench-chain", 5));

  await wakes(one, two);
  const same = await wakes(one, one);
  const other = await wakes(one, two);
  console.table([row("wake, same server", same), row("wake, other server", other)]);
  console.table([
    row("late, a server has joined", await timers(one, "stays")),
    row("late, it has left in good order", await timers(one, "SIGTERM")),
    row("late, it was killed", await timers(one, "SIGKILL")),
  ]);
  const three = await startServer({ store });
  await load([one, two, three]);
  const rows = [await load([one])];
  rows.push(await load([one, two]));
  rows.push(await load([one, two, three]));
  await stop(three);
  console.table(rows);
} finally {
  await stop(one);
  await stop(two);
}
