/**
 * Redis servers of a test's own: on free ports, in temporary folders, stopped by their process id.
 * Where redis-server is not installed, `redisMissing` says so, and tests are skipped by that
 * reason.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import type { Authority, Issued } from "./certificates.ts";
import { freePort } from "./ports.ts";

/** In memory where that can be: nodes of a cluster sync their files, and disks may be busy. */
const folders = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

const executable = Bun.which("redis-server");

/** Why tests that need Redis cannot run here; undefined when they can. */
export const redisMissing =
  executable === null ? "redis-server is not installed: apt-get install redis-server" : undefined;

export interface RedisServer {
  readonly port: number;
  readonly pid: number;
  /** A connection of the test's own. */
  readonly client: Redis;
  /** Kills it without a chance to tidy up. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/** Cluster nodes also listen on their port plus 10,000 unless told otherwise. */
function freePortPair(): { readonly port: number; readonly busPort: number } {
  return { port: freePort(), busPort: freePort() };
}

const retryMs = 10;

type Settings = Readonly<Record<string, string>>;

/** Keeps snapshots and no log unless `settings` say otherwise: tests need not wait for a disk. */
export async function startRedis(
  settings: Settings = {},
  place: { readonly port?: number; readonly folder?: string; readonly env?: Settings } = {},
): Promise<RedisServer> {
  const folder = place.folder ?? mkdtempSync(join(folders, "orchy-redis-"));
  const port = place.port ?? freePort();
  const all: Settings = {
    bind: "127.0.0.1",
    dir: folder,
    save: "86400 1",
    appendonly: "no",
    "maxmemory-policy": "noeviction",
    ...settings,
  };
  const flags = Object.entries(all).flatMap(([name, value]) => [`--${name}`, value]);
  const server = await startProcess(flags, { port, folder, env: place.env ?? {} });
  return {
    ...server,
    async stop() {
      await server.kill();
      if (place.folder === undefined) rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Resolves when it accepts commands. */
async function startProcess(
  args: readonly string[],
  {
    port,
    folder,
    env = {},
  }: { readonly port: number; readonly folder: string; readonly env?: Settings },
): Promise<Omit<RedisServer, "stop">> {
  const log = Bun.file(join(folder, "log"));
  const command = [executable as string, ...args, "--port", `${port}`];
  const options = { stdout: log, stderr: log, env: { ...process.env, ...env } };
  const child = Bun.spawn(command, options);
  const client = new Redis({
    port,
    host: "127.0.0.1",
    protocol: 2,
    maxRetriesPerRequest: null,
    retryStrategy: () => retryMs,
    enableReadyCheck: false,
  });
  client.on("error", () => {});
  const died = child.exited.then(async () => {
    client.disconnect();
    throw new Error(`redis-server did not start:\n${await log.text()}`);
  });
  died.catch(() => {});
  // That it answers is enough: it may want a password.
  await Promise.race([client.ping().catch(() => {}), died]);
  return {
    port,
    pid: child.pid,
    client,
    async kill() {
      client.disconnect();
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

/** One server that calls itself a cluster and owns every slot. */
export async function startLoneCluster(settings: Settings = {}): Promise<RedisServer> {
  const { port, busPort } = freePortPair();
  // Nobody has told it by which address it is known.
  const clustered = {
    "cluster-enabled": "yes",
    "cluster-port": `${busPort}`,
    "cluster-announce-ip": "127.0.0.1",
    ...settings,
  };
  const server = await startRedis(clustered, { port });
  await server.client.call("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
  await until(async () => (await server.client.cluster("INFO")).includes("cluster_state:ok"));
  return server;
}

export interface RedisCluster {
  readonly nodes: readonly RedisServer[];
  stop(): Promise<void>;
}

const masters = 3;

/** Three masters that share the slots, and a replica of each. */
export async function startCluster(settings: Settings = {}): Promise<RedisCluster> {
  const places = Array.from({ length: masters * 2 }, freePortPair);
  const clustered = {
    "cluster-enabled": "yes",
    "cluster-node-timeout": "2000",
    "repl-diskless-sync-delay": "0",
    ...settings,
  };
  const starts = await Promise.allSettled(
    places.map(({ port, busPort }) =>
      startRedis({ ...clustered, "cluster-port": `${busPort}` }, { port }),
    ),
  );
  const nodes = starts.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const stop = async () => {
    await Promise.all(nodes.map((node) => node.stop()));
  };
  try {
    for (const one of starts) if (one.status === "rejected") throw one.reason;
    await formCluster(nodes, places);
  } catch (error) {
    await stop();
    throw error;
  }
  return { nodes, stop };
}

export async function formCluster(
  nodes: readonly RedisServer[],
  places: readonly { readonly port: number; readonly busPort: number }[],
): Promise<void> {
  const [first, ...others] = nodes as [RedisServer, ...RedisServer[]];
  const share = 16_384 / masters;
  for (const [i, { client }] of nodes.slice(0, masters).entries()) {
    await client.call("CLUSTER", "SET-CONFIG-EPOCH", `${i + 1}`);
    const [from, to] = [Math.ceil(i * share), Math.ceil((i + 1) * share) - 1];
    await client.call("CLUSTER", "ADDSLOTSRANGE", `${from}`, `${to}`);
  }
  for (const i of others.keys()) {
    const { port, busPort } = places[i + 1] as (typeof places)[number];
    await first.client.call("CLUSTER", "MEET", "127.0.0.1", `${port}`, `${busPort}`);
  }
  const said = async ({ client }: RedisServer, what: string) =>
    ((await client.call("CLUSTER", "INFO")) as string).includes(what);
  const all = async (what: string) =>
    (await Promise.all(nodes.map((node) => said(node, what)))).every((holds) => holds);
  await until(() => all(`cluster_known_nodes:${nodes.length}`));
  for (const [i, replica] of nodes.slice(masters).entries()) {
    const master = await (nodes[i] as RedisServer).client.call("CLUSTER", "MYID");
    await replica.client.call("CLUSTER", "REPLICATE", master as string);
  }
  await until(() => all("cluster_state:ok"));
  await until(async () => {
    const infos = await Promise.all(nodes.slice(masters).map(({ client }) => client.info()));
    return infos.every((info) => info.includes("master_link_status:up"));
  });
  await until(async () => {
    const views = await Promise.all(nodes.map(({ client }) => client.call("CLUSTER", "NODES")));
    return views.every((view) => (view as string).match(/\bslave /g)?.length === masters);
  });
}

/**
 * A sentinel that knows the master by the name `main`; `quorum` of them must agree that it is down.
 */
export async function startSentinel(
  masterPort: number,
  { quorum = 1, settings = {} }: { readonly quorum?: number; readonly settings?: Settings } = {},
): Promise<RedisServer> {
  const folder = mkdtempSync(join(folders, "orchy-redis-"));
  const file = join(folder, "sentinel.conf");
  const lines = [
    `sentinel monitor main 127.0.0.1 ${masterPort} ${quorum}`,
    "sentinel down-after-milliseconds main 1000",
    "sentinel failover-timeout main 4000",
    ...Object.entries(settings).map(([name, value]) => `${name} ${value}`),
  ];
  writeFileSync(file, `${lines.join("\n")}\n`);
  const sentinel = await startProcess([file, "--sentinel"], { port: freePort(), folder });
  return {
    ...sentinel,
    async stop() {
      await sentinel.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** What makes a Redis speak TLS on one more port. */
export function tlsSettings(port: number, { certPath, keyPath }: Issued, ca: Authority): Settings {
  return {
    "tls-port": `${port}`,
    "tls-auth-clients": "no",
    "tls-ca-cert-file": ca.certPath,
    "tls-key-file": keyPath,
    "tls-cert-file": certPath,
  };
}

/** Bytes that a Redis has in use. */
export async function usedMemory(client: Redis): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await client.info("memory"))?.[1]);
}

/** Asks again, a little later each time, until it holds. */
export async function until(holds: () => Promise<boolean>, withinMs = 60_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > deadline) {
      throw new Error(`It did not come true in ${withinMs / 1_000} seconds.`);
    }
    await Bun.sleep(20);
  }
}
