/** The Redis store keeps the contract. */
import { afterAll, beforeAll } from "bun:test";
import { openRedisStore } from "../../src/store/redis/open.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { storeConformance } from "./conformance.ts";

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => {
  await server.stop();
});

let namespaces = 0;

storeConformance("one Redis", async (options) => {
  const namespace = `test-${++namespaces}`;
  const url = `redis://127.0.0.1:${server.port}`;
  const store = await openRedisStore(url, { ...options, namespace, clockCheck: false });
  return { store, cleanUp: async () => {} };
});
