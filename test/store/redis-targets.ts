/** The kinds of Redis that the store must work on, for suites that run on each of them. */
import { openRedisStore, type RedisOptions } from "../../src/store/redis/open.ts";
import { startCluster, startLoneCluster, startRedis } from "../support/redis.ts";

export interface RedisTarget {
  readonly name: string;
  /** Returns the address of the store, and what ends the servers behind it. */
  start(): Promise<{ readonly url: string; stop(): Promise<void> }>;
}

export const redisTargets: readonly RedisTarget[] = [
  {
    name: "one Redis",
    async start() {
      const server = await startRedis();
      return { url: `redis://127.0.0.1:${server.port}`, stop: () => server.stop() };
    },
  },
  {
    name: "a cluster of three masters with a replica each",
    async start() {
      const cluster = await startCluster();
      const hosts = cluster.nodes.map(({ port }) => `127.0.0.1:${port}`);
      return { url: `redis-cluster://${hosts.join(",")}`, stop: () => cluster.stop() };
    },
  },
  {
    name: "one Redis in cluster mode",
    async start() {
      const server = await startLoneCluster();
      return { url: `redis-cluster://127.0.0.1:${server.port}`, stop: () => server.stop() };
    },
  },
];

let namespaces = 0;

/** An empty store, in a separate namespace; it takes any `now`. */
export function openEmptyRedis(url: string, options: Omit<RedisOptions, "namespace">) {
  const namespace = `test-${++namespaces}`;
  return openRedisStore(url, { namespace, clockCheck: false, ...options });
}
