/**
 * `bun run bench:scripts`: bursts of executions of one script, on one server or several. Prints a
 * table; nothing here passes or fails.
 *
 * The least time is what the servers and their script processes used of the processors, divided by
 * the processors. `idle` is the share of the machine that nothing used meanwhile: where it is near 0
 * and the ratio is not near 1, something else was running.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { integer } from "../src/config/settings.ts";
import { readMetrics, total } from "../test/support/metrics.ts";
import {
  call,
  type Running,
  startMany,
  startServer,
  stop,
  storeIn,
  usage,
} from "./bench/support.ts";
import { readOptions } from "./options.ts";

const options = readOptions("Bursts of scripts: how long they take, and what they cost.", {
  store: { type: "string", default: "sqlite", about: "sqlite (a new file), or an empty Redis" },
  servers: {
    type: "string",
    default: "1",
    about: "on the store; all starts go to the first",
    read: integer(1, 100),
  },
  bursts: { type: "string", default: "12000x5,3000x50", about: "executions x milliseconds, …" },
});

const cores = availableParallelism();
const workflow = (name: string, turns: number) => ({
  name,
  rootAction: 1,
  actions: [
    {
      id: 1,
      type: "system",
      name: "javascript",
      expression: `let sum = 0; for (let i = 0; i < ${turns}; i++) sum = (sum + i) | 0; $.sum = sum`,
    },
  ],
});

/** CPU seconds of servers and of the script processes under them. */
function cpuOf(servers: readonly Running[]): { server: number; scripts: number } {
  const pids = new Set(servers.map((server) => server.process.pid));
  let [server, scripts] = [0, 0];
  for (const pid of pids) server += usage(pid).cpu;
  for (const name of readdirSync("/proc")) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8").split(") ").at(-1)!.split(" ");
      if (pids.has(Number(stat[1]))) scripts += usage(Number(name)).cpu;
    } catch {
      // Not a process, or one that is gone.
    }
  }
  return { server, scripts };
}

function idleSeconds(): number {
  const [, , , , idle] = readFileSync("/proc/stat", "utf8").split("\n")[0]!.split(/\s+/);
  return Number(idle) / 100;
}

async function counts(
  servers: readonly Running[],
): Promise<{ ended: number; evaluated: number[] }> {
  const samples = await Promise.all(servers.map((server) => readMetrics(server)));
  const ended = samples.map((each) => total(each, "orchy_executions_ended_total"));
  const evaluated = samples.map((each) => total(each, "orchy_script_seconds_count"));
  return { ended: ended.reduce((sum, count) => sum + count, 0), evaluated };
}

async function burst(servers: readonly Running[], name: string, count: number) {
  const before = { ...(await counts(servers)), cpu: cpuOf(servers), idle: idleSeconds() };
  const begun = performance.now();
  await startMany([servers[0]!.url], name, { count });
  const startSeconds = (performance.now() - begun) / 1000;
  let after = await counts(servers);
  while (after.ended < before.ended + count) {
    await Bun.sleep(100);
    after = await counts(servers);
  }
  const seconds = (performance.now() - begun) / 1000;
  const cpu = cpuOf(servers);
  const server = cpu.server - before.cpu.server;
  const scripts = cpu.scripts - before.cpu.scripts;
  return {
    burst: name,
    "starts s": startSeconds.toFixed(1),
    seconds: seconds.toFixed(1),
    "server CPU s": server.toFixed(1),
    "scripts CPU s": scripts.toFixed(1),
    "of the least": (seconds / ((server + scripts) / cores)).toFixed(2),
    idle: `${((100 * (idleSeconds() - before.idle)) / seconds / cores).toFixed(0)} %`,
    evaluated: after.evaluated.map((each, i) => each - before.evaluated[i]!).join(" + "),
    MiB: Math.max(...servers.map(({ process }) => usage(process.pid).rss)).toFixed(0),
  };
}

/** Turns of the loop that take a script process a millisecond. */
async function turnsPerMs(server: Running): Promise<number> {
  const turns = 200_000;
  const runs = 40;
  await call(server.url, "/v1/workflows", workflow("bench-warm", turns));
  const run = async () => {
    for (let i = 0; i < runs; i++) {
      await call(server.url, "/v1/executions?wait=60", { workflow: "bench-warm", input: {} });
    }
  };
  await run();
  const before = cpuOf([server]);
  await run();
  return (turns * runs) / ((cpuOf([server]).scripts - before.scripts) * 1000);
}

const folder = mkdtempSync(join(tmpdir(), "orchy-bench-"));
const store = storeIn(folder, options.store);
const servers: Running[] = [];
try {
  for (let i = 0; i < options.servers; i++) servers.push(await startServer({ store }));
  const perMs = await turnsPerMs(servers[0]!);
  const rows = [];
  for (const one of options.bursts.split(",")) {
    const [count = 0, ms = 0] = one.split("x").map(Number);
    const name = `bench-${count}x${ms}ms`;
    await call(servers[0]!.url, "/v1/workflows", workflow(name, Math.round(perMs * ms)));
    rows.push(await burst(servers, name, count));
  }
  console.table(rows);
} finally {
  for (const server of servers) await stop(server);
  rmSync(folder, { recursive: true, force: true });
}
