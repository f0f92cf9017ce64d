/** Servers whose tasks SQS or Kafka carries, with a broker that dies in the middle. */
import { expect, test } from "bun:test";
import { elasticmqMissing, startElasticmq } from "../support/brokers/elasticmq.ts";
import { kafkaMissing, startKafka } from "../support/brokers/kafka.ts";
import { ministackMissing, startMinistack } from "../support/brokers/ministack.ts";
import { readMetrics, total as sumOf } from "../support/metrics.ts";
import {
  saveWorkflow,
  startExecution,
  startTestServer,
  type TestServer,
} from "../support/orchy.ts";
import { redisMissing, startRedis } from "../support/redis.ts";
import { complete, done, poll } from "./calls.ts";

interface Broker {
  readonly flag: string;
  kill(): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

function sqs(start: typeof startMinistack | typeof startElasticmq) {
  return async (): Promise<Broker> => {
    let server = await start();
    return {
      flag: `sqs:test?endpoint=${server.endpoint}&region=eu-west-1`,
      kill: () => server.stop(),
      // It comes back without its queues: they are created anew.
      restart: async () => {
        server = await start(server.port);
      },
      stop: () => server.stop(),
    };
  };
}

async function kafka(): Promise<Broker> {
  const server = await startKafka();
  const { kill, restart, stop } = server;
  return { flag: `kafka:${server.brokers.plaintext}?partitions=5`, kill, restart, stop };
}

const brokers = [
  ["SQS (ministack)", await ministackMissing(), sqs(startMinistack)],
  ["SQS (ElasticMQ)", await elasticmqMissing(), sqs(startElasticmq)],
  ["Kafka", await kafkaMissing(), kafka],
] as const;

for (const [name, missing, start] of brokers) {
  const reason = missing ?? redisMissing;
  const title = reason === undefined ? name : `${name} (${reason})`;
  test.skipIf(reason !== undefined)(
    `${title}: tasks come by tickets, and none is lost with the broker`,
    async () => {
      process.env.AWS_ACCESS_KEY_ID ??= "test";
      process.env.AWS_SECRET_ACCESS_KEY ??= "test";
      const [broker, redis] = [await start(), await startRedis()];
      const flags = ["--queue", broker.flag];
      const store = `redis://127.0.0.1:${redis.port}`;
      const servers = [
        await startTestServer({ store, flags }),
        await startTestServer({ store, flags }),
      ] as const;
      await saveWorkflow(servers[0], {
        name: "two",
        rootAction: "first",
        actions: [
          { id: "first", type: "user", name: "first", next: { default: "second" } },
          { id: "second", type: "user", name: "second" },
        ],
      });
      const handedOut = new Set<string>();
      let [started, ended] = [0, 0];
      let isOver = false;
      const work = async (server: TestServer, action: string) => {
        while (!isOver) {
          const tasks = await poll(server, { actions: [action], maxTasks: 10, waitSeconds: 2 });
          for (const { executionId, actionId, attempt } of tasks) {
            const task = `${executionId} ${actionId} ${attempt}`;
            expect(handedOut.has(task)).toBe(false);
            handedOut.add(task);
          }
          if (tasks.length > 0) await complete(server, ...tasks.map((task) => done(task)));
          if (action === "second") ended += tasks.length;
        }
      };
      const working = [work(servers[0], "first"), work(servers[1], "second")];
      const round = async (count: number) => {
        for (let i = 0; i < count; i++) await startExecution(servers[1], "two");
        started += count;
        while (ended < started) await Bun.sleep(20);
      };
      await round(100);
      const claimed = async () => {
        const all = await Promise.all(servers.map((server) => readMetrics(server)));
        return all.reduce(
          (n, one) => n + sumOf(one, "orchy_queue_tickets_total", 'event="claimed"'),
          0,
        );
      };
      const before = await claimed();
      expect(before).toBeGreaterThan(50);
      await broker.kill();
      await round(20);
      await broker.restart();
      // They find it again by themselves.
      while ((await claimed()) === before) await round(5);
      isOver = true;
      await Promise.all(working);
      for (const server of servers) await server.remove();
      await redis.stop();
      await broker.stop();
    },
  );
}
