/**
 * A source on what imitates SQS: messages whose visibility timeout passes while they are handled come
 * again, and each starts one execution.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import type { BrokerAddress } from "../../src/brokers/address.ts";
import type { BrokerPlaces } from "../../src/brokers/brokers.ts";
import { SqsQueue } from "../../src/brokers/sqs/queue.ts";
import { SqsService } from "../../src/brokers/sqs/service.ts";
import { elasticmqMissing, startElasticmq } from "../support/brokers/elasticmq.ts";
import { ministackMissing, startMinistack } from "../support/brokers/ministack.ts";
import { call, saveWorkflow, startTestServer, type TestServer } from "../support/orchy.ts";

const systems = [
  ["ministack", await ministackMissing(), startMinistack],
  ["ElasticMQ", await elasticmqMissing(), startElasticmq],
] as const;
const total = 300;
const { signal } = new AbortController();

for (const [system, missing, start] of systems) {
  const name = missing === undefined ? system : `${system} (${missing})`;
  describe.skipIf(missing !== undefined)(`a source on SQS, as ${name}`, () => {
    let sqs: Awaited<ReturnType<typeof start>>;
    let brokers: BrokerPlaces;
    let server: TestServer;

    beforeAll(async () => {
      process.env.AWS_ACCESS_KEY_ID = "test";
      process.env.AWS_SECRET_ACCESS_KEY = "test-secret";
      sqs = await start();
      const service = new SqsService({ clock: systemClock, endpoint: sqs.endpoint });
      const open = (address: BrokerAddress) => {
        if (address.kind !== "sqs") throw new Error("it is no queue");
        const { queue } = address;
        // So short that many messages come again while they are tried.
        return new SqsQueue({ service, queue, visibilitySeconds: 1, create: {} });
      };
      brokers = { reaches: () => true, receiver: open, sender: open };
      server = await startTestServer({ parts: { brokers } });
    }, 120_000);
    afterAll(async () => {
      await server?.remove();
      await sqs?.stop();
    });

    const source = async () => (await call(server, "GET", "/v1/sources/orders")).body;

    test("each message starts one execution, however often it comes", async () => {
      const queue = brokers.sender({ kind: "sqs", queue: "orders" }) as SqsQueue;
      const messages = Array.from({ length: total }, (_, n) => ({ body: `{"n":"c-${n}"}` }));
      expect((await queue.send(messages)).filter(Boolean)).toEqual([]);
      const as = { start: { workflow: "later", correlationId: "$.message.value.n" } };
      await call(server, "PUT", "/v1/sources/orders", { from: "sqs:orders", as });
      // Some are tried for longer than they are hidden, as the workflow is not there.
      while ((await source()).status?.error?.message !== "There is no workflow later.") {
        await Bun.sleep(50);
      }
      // What the source has had is seen here, too, and comes back to it by itself.
      for (let again = 0; again === 0; ) {
        const taken = await queue.receive({ limit: 10, waitMs: 1_000, signal });
        again = taken.filter(({ deliveries = 0 }) => deliveries > 1).length;
      }
      const actions = [{ id: "a", type: "system", name: "wait", event: "go" }];
      await saveWorkflow(server, { name: "later", rootAction: "a", actions });
      while ((await queue.backlog()) > 0) await Bun.sleep(100);
      const list = await call(server, "GET", "/v1/executions?limit=500");
      const found = list.body.items.map((one: { correlationId: string }) => one.correlationId);
      expect([found.length, new Set(found).size]).toEqual([total, total]);
      expect((await source()).status.deadLetters).toBe(0);
    }, 60_000);

    test("while the queue is away the source says so", async () => {
      await sqs.stop();
      while ((await source()).state !== "failing") await Bun.sleep(100);
    }, 60_000);
  });
}
