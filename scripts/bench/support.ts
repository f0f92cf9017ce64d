/**
 * What the benchmarks share: processes of the product, what they use, and figures of many times.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Subprocess } from "bun";

const root = join(import.meta.dir, "../..");

export interface Running {
  readonly process: Subprocess<"ignore", "pipe", "inherit">;
  readonly url: string;
  /** host:port of a server's gRPC port. */
  readonly grpc?: string;
}

/** The first line that the process writes with this in it: a busy machine makes it warn before. */
async function lineWith(
  process: Subprocess<"ignore", "pipe", "inherit">,
  part: string,
): Promise<string> {
  const reader = process.stdout.getReader();
  const find = (text: string) =>
    text
      .split("\n")
      .slice(0, -1)
      .find((line) => line.includes(part));
  let text = "";
  let found: string | undefined;
  while (found === undefined) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`the process ended: ${text}`);
    text += new TextDecoder().decode(value);
    found = find(text);
  }
  reader.releaseLock();
  return found;
}

/** The address of a store as benchmarks name it: `sqlite` is a file of its own in this folder. */
export function storeIn(folder: string, store: string): string {
  return store === "sqlite" ? `sqlite:${folder}/orchy.db` : store;
}

export interface ServerOptions {
  readonly store: string;
  readonly partitions?: string | undefined;
  readonly profile?: boolean;
  /** Further flags of the server. */
  readonly flags?: readonly string[];
}

export async function startServer(options: ServerOptions): Promise<Running> {
  const flags = ["--http-port", "0", "--grpc-port", "0", "--store", options.store];
  if (options.partitions !== undefined) flags.push("--partitions", options.partitions);
  flags.push(...(options.flags ?? []));
  const profile = options.profile ? ["--cpu-prof", "--cpu-prof-dir", "/tmp/orchy-profile"] : [];
  const server = Bun.spawn([process.execPath, ...profile, join(root, "src/main.ts"), ...flags], {
    stdout: "pipe",
    stderr: "inherit",
    stdin: "ignore",
    // What a script has set for itself is not passed on otherwise.
    env: { ...process.env },
  });
  const line = JSON.parse(await lineWith(server, '"http":'));
  return { process: server, url: line.http, grpc: line.grpc };
}

export async function startWorker(
  url: string,
  { transport, polls }: { readonly transport: string; readonly polls: number },
): Promise<Running> {
  const worker = Bun.spawn(
    [process.execPath, join(root, "scripts/bench/worker.ts"), url, transport, `${polls}`],
    { stdout: "pipe", stderr: "inherit", stdin: "ignore" },
  );
  await lineWith(worker, "ready");
  return { process: worker, url };
}

/** A workflow of this many user actions, each of which is given the same part of the input. */
export function chain(name: string, length: number): object {
  return chainOf(name, length, () => ({
    name: "bench-step",
    parameters: { value: "$.input.value" },
  }));
}

/**
 * The same, but each action is given what the one before it returned: the payload passes through.
 */
export function payloadChain(name: string, length: number): object {
  return chainOf(name, length, (index) => ({
    name: "bench-payload",
    parameters: index === 0 ? "$.input" : `$.${index}.output`,
  }));
}

function chainOf(name: string, length: number, action: (index: number) => object): object {
  const actions = Array.from({ length }, (_, index) => ({
    id: index + 1,
    type: "user",
    ...action(index),
    ...(index + 1 < length && { next: { default: index + 2 } }),
  }));
  return { name, rootAction: 1, actions };
}

export async function stop(running: Running): Promise<void> {
  running.process.kill("SIGTERM");
  await running.process.exited;
}

/** CPU seconds and resident MiB of a process. */
export function usage(pid: number): { cpu: number; rss: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const rss = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
  return { cpu: (Number(stat[11]) + Number(stat[12])) / 100, rss };
}

export async function call(
  url: string,
  path: string,
  body: unknown,
): Promise<Record<string, unknown>> {
  const response = await fetch(url + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Record<string, unknown>;
}

export function start(
  url: string,
  workflow: string,
  { wait = 0, value = 7 }: { readonly wait?: number; readonly value?: unknown } = {},
): Promise<Record<string, unknown>> {
  const query = wait > 0 ? `?wait=${wait}` : "";
  return call(url, `/v1/executions${query}`, { workflow, input: { value } });
}

/** So many executions, at the servers in turn, `lanes` at a time. */
export async function startMany(
  urls: readonly string[],
  workflow: string,
  options: { readonly count: number; readonly lanes?: number; readonly value?: unknown },
): Promise<string[]> {
  const { count, lanes = 32, value } = options;
  const ids: string[] = [];
  let left = count;
  const lane = async (_: unknown, number: number) => {
    const url = urls[number % urls.length]!;
    while (left-- > 0) ids.push(String((await start(url, workflow, { value })).id));
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return ids;
}

/** Asks for the result of the last ones: with first in, first out, then all have ended. */
export async function allEnded(url: string, ids: readonly string[]): Promise<void> {
  for (const id of ids.slice(-300)) {
    for (;;) {
      const response = await fetch(`${url}/v1/executions/${id}/result?wait=60`);
      const { status } = (await response.json()) as { status: string };
      if (status === "COMPLETED") break;
      if (status !== "RUNNING") throw new Error(`${id} is ${status}`);
    }
  }
}

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const [below, above] = [sorted[Math.ceil(middle) - 1] ?? 0, sorted[Math.floor(middle)] ?? 0];
  return (below + above) / 2;
}

export function percentile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
