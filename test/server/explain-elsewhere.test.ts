/** A server explains by the workers of the others, too. */
import { expect, test } from "bun:test";
import { call, saveWorkflow, startExecution, startTestServer } from "../support/orchy.ts";
import { redisMissing, startRedis } from "../support/redis.ts";
import { pollOne, single } from "./calls.ts";

test.skipIf(redisMissing !== undefined)(
  "a worker that is busy at one server is counted by another",
  async () => {
    const redis = await startRedis();
    const store = `redis://127.0.0.1:${redis.port}`;
    const [here, there] = [await startTestServer({ store }), await startTestServer({ store })];
    try {
      await saveWorkflow(here, single("far"));
      await startExecution(here, "far");
      await pollOne(there, "far", { workerId: "one" });
      const id = await startExecution(here, "far");
      const ask = () => call(here, "GET", `/v1/executions/${id}/explain`);
      // Until the servers have met: the note reaches those that are known to be live.
      let { body } = await ask();
      while (!body.reasons[0].queue?.workers.busy) ({ body } = await ask());
      expect(body.reasons).toMatchObject([
        { kind: "workers-busy", queue: { running: 1, workers: { waiting: 0, busy: 1 } } },
      ]);
      expect(body.reasons[0].queue).not.toHaveProperty("silentServers");
    } finally {
      await Promise.all([here.remove(), there.remove()]);
      await redis.stop();
    }
  },
  60_000,
);
