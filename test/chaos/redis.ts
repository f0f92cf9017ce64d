/** The Redis of a run: one server, or a cluster, each node behind a proxy and able to come back. */
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import type { Redis } from "ioredis";
import { freePort } from "../support/ports.ts";
import { formCluster, type RedisServer, startRedis } from "../support/redis.ts";
import { startWay, startWays, type WayToStore } from "./proxy.ts";

/** Nothing acknowledged is lost by a kill: each write is in the file before its answer. */
const durable = { appendonly: "yes", appendfsync: "always", save: "" };

export class Node {
  readonly port: number;
  readonly #folder: string;
  readonly #settings: Readonly<Record<string, string>>;
  #server: RedisServer | undefined;

  constructor(folder: string, port: number, settings: Readonly<Record<string, string>> = {}) {
    this.#folder = mkdtempSync(join(folder, "redis-"));
    this.port = port;
    this.#settings = { ...durable, ...settings };
  }

  async start(): Promise<void> {
    const place = { port: this.port, folder: this.#folder };
    this.#server = await startRedis(this.#settings, place);
  }

  async kill(): Promise<void> {
    await this.#server?.kill();
  }

  get server(): RedisServer {
    if (this.#server === undefined) throw new Error("The node was never started.");
    return this.#server;
  }

  get client(): Redis {
    return this.server.client;
  }
}

export interface RedisBed {
  readonly nodes: readonly Node[];
  readonly proxies: readonly WayToStore[];
  /** The address of the store for each Orchy server. */
  readonly stores: readonly string[];
  stop(): Promise<void>;
}

/** One Redis; each Orchy server has a separate way to it. */
export async function startSingle(folder: string, servers: number): Promise<RedisBed> {
  const node = new Node(folder, freePort());
  await node.start();
  const proxies = await startWays(node.port, servers);
  const stores = proxies.map(({ port }) => `redis://127.0.0.1:${port}`);
  return bed([node], proxies, stores);
}

/** Every node announces the port of its proxy: clients and replicas go through it. */
export async function startChaosCluster(folder: string, servers: number): Promise<RedisBed> {
  const places = Array.from({ length: 6 }, () => ({ port: freePort(), busPort: freePort() }));
  const proxies = await Promise.all(places.map(({ port }) => startWay(port)));
  const nodes = places.map(({ port, busPort }, i) => {
    const announced = { "cluster-announce-port": `${proxies[i]?.port}` };
    return new Node(folder, port, {
      "cluster-enabled": "yes",
      "cluster-node-timeout": "2000",
      ...announced,
      "repl-diskless-sync-delay": "0",
      "cluster-port": `${busPort}`,
    });
  });
  await Promise.all(nodes.map((node) => node.start()));
  const known = places.map(({ busPort }, i) => ({ port: proxies[i]?.port as number, busPort }));
  const all = bed(nodes, proxies, []);
  try {
    await formCluster(
      nodes.map(({ server }) => server),
      known,
    );
  } catch (error) {
    await all.stop();
    throw error;
  }
  const addresses = known.map(({ port }) => `127.0.0.1:${port}`).join(",");
  return { ...all, stores: Array(servers).fill(`redis-cluster://${addresses}`) };
}

function bed(
  nodes: readonly Node[],
  proxies: readonly WayToStore[],
  stores: readonly string[],
): RedisBed {
  return {
    nodes,
    proxies,
    stores,
    async stop() {
      for (const proxy of proxies) proxy.stop();
      await Promise.all(nodes.map((node) => node.kill()));
    },
  };
}
