/** A poll that does not wait takes what is there, over how many partitions it may be spread. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  call,
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
} from "../support/orchy.ts";
import { type RedisServer, redisMissing, startRedis } from "../support/redis.ts";
import { poll, single } from "./calls.ts";

const queued = 291;

async function started(server: TestServer): Promise<void> {
  await saveWorkflow(server, single("batch"));
  await Promise.all(Array.from({ length: queued }, () => startExecution(server, "batch", {})));
}

let redis: RedisServer | undefined;
beforeAll(async () => {
  if (redisMissing === undefined) redis = await startRedis();
});
afterAll(() => redis?.stop());

const stores = [
  ["SQLite", () => undefined] as const,
  ["Redis", () => redis && `redis://127.0.0.1:${redis.port}`] as const,
];

for (const [name, urlOf] of stores) {
  test.skipIf(name === "Redis" && redisMissing !== undefined)(
    `${name}: batches are full until nothing is left`,
    async () => {
      const store = urlOf();
      const flags = ["--partitions", "64"];
      const server = await startTestServer({ ...(store !== undefined && { store }), flags });
      try {
        await started(server);
        const request = { actions: ["batch"], maxTasks: 100, waitSeconds: 0 };
        const counts: number[] = [];
        while (counts.at(-1) !== 0) counts.push((await poll(server, request)).length);
        expect(counts).toEqual([100, 100, 91, 0]);

        await started(server);
        const old = { taskType: "batch", batchSize: 100 };
        const { body } = await call(server, "POST", "/TaskService/Poll", old);
        expect(body.tasks).toHaveLength(100);
      } finally {
        await server.remove();
      }
    },
  );
}
