/**
 * Two servers of one store whose clocks are more than an hour ahead and behind: tasks come by tickets,
 * and a source is read, taken over and gone on with, as if they were right. What stands for SQS
 * refuses requests that are signed at another time, as AWS does.
 */
import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { KafkaClient } from "../../src/brokers/kafka/client.ts";
import { KafkaSender } from "../../src/brokers/kafka/sender.ts";
import type { Sender } from "../../src/brokers/message.ts";
import { SqsQueue } from "../../src/brokers/sqs/queue.ts";
import { SqsService } from "../../src/brokers/sqs/service.ts";
import { refusal, startAwsProxy } from "../support/aws-proxy.ts";
import { kafkaMissing, startKafka } from "../support/brokers/kafka.ts";
import { ministackMissing, startMinistack } from "../support/brokers/ministack.ts";
import { readMetrics, total } from "../support/metrics.ts";
import { call, saveWorkflow } from "../support/orchy.ts";
import { type ServerProcess, startProcess } from "../support/process.ts";
import { redisMissing, startRedis } from "../support/redis.ts";
import { clocksFixed, makeShiftedClock } from "../support/shifted-clock.ts";
import { complete, done, poll } from "./calls.ts";

/** Kafka takes no record that is more than an hour ahead of it. */
const shiftMs = 3_660_000;
/** AWS takes signatures of so long before and after. */
const signedMs = 300_000;

interface Broker {
  readonly flags: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly from: string;
  readonly sender: Sender;
  /** Requests that were refused because of their time. */
  refused(): number;
  stop(): Promise<void>;
}

async function sqs(): Promise<Broker> {
  const key = { AWS_ACCESS_KEY_ID: "test", AWS_SECRET_ACCESS_KEY: "test" };
  Object.assign(process.env, key);
  const ministack = await startMinistack();
  const proxy = await startAwsProxy(ministack.endpoint);
  proxy.keepsRequests = false;
  let refused = 0;
  proxy.trouble = ({ headers }) => {
    const date = `${headers["x-amz-date"]}`.replace(/^(....)(..)(..T..)(..)/, "$1-$2-$3:$4:");
    if (Math.abs(Date.parse(date) - Date.now()) < signedMs) return undefined;
    refused += 1;
    return refusal(refused % 2 === 0 ? "RequestTimeTooSkewed" : "InvalidSignatureException");
  };
  const service = new SqsService({ clock: systemClock, endpoint: ministack.endpoint });
  const sender = new SqsQueue({ service, queue: "orders", visibilitySeconds: 60, create: {} });
  // Servers do not create it.
  await sender.backlog();
  return {
    flags: ["--queue", `sqs:test?endpoint=${proxy.endpoint}`],
    env: { ...key, AWS_ENDPOINT_URL_SQS: proxy.endpoint },
    from: "sqs:orders",
    sender,
    refused: () => refused,
    async stop() {
      proxy.stop();
      await ministack.stop();
    },
  };
}

async function kafka(): Promise<Broker> {
  const server = await startKafka();
  const brokers = server.brokers.plaintext;
  const client = new KafkaClient({ brokers: [brokers], rest: new Map() });
  await client.ensureTopics(["orders"], { partitions: 2, replicas: 1 });
  return {
    flags: ["--queue", `kafka:${brokers}`, "--kafka", brokers],
    env: {},
    from: "kafka:orders",
    sender: new KafkaSender(client, "orders"),
    refused: () => 0,
    async stop() {
      await client.close();
      await server.stop();
    },
  };
}

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function startAll(broker: Broker, store: string, shiftsMs: readonly number[]) {
  const servers: ServerProcess[] = [];
  for (const [i, shift] of shiftsMs.entries()) {
    const clock = makeShiftedClock(shift);
    ends.push(() => clock.remove());
    const flags = [...broker.flags, "--node-name", `${i}`];
    const server = await startProcess(store, { env: { ...clock.env, ...broker.env } }, flags);
    ends.push(async () => {
      server.child.kill("SIGKILL");
      await server.child.exited;
    });
    servers.push(server);
  }
  return servers;
}

const one = { name: "one", rootAction: "a", actions: [{ id: "a", type: "user", name: "a" }] };

/** Until so many more executions have had their task, at whichever server. */
async function work(servers: readonly ServerProcess[], count: number): Promise<void> {
  const ended = new Set<string>();
  while (ended.size < count) {
    for (const server of servers) {
      const tasks = await poll(server, { actions: ["a"], maxTasks: 3, waitSeconds: 1 });
      if (tasks.length > 0) await complete(server, ...tasks.map((task) => done(task)));
      for (const { executionId } of tasks) ended.add(executionId);
    }
  }
}

async function begin(server: ServerProcess, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    await call(server, "POST", "/v1/executions", { workflow: "one", input: {} });
  }
}

async function tickets(server: ServerProcess, event: string): Promise<number> {
  return total(await readMetrics(server), "orchy_queue_tickets_total", `event="${event}"`);
}

const brokers = [
  ["SQS", await ministackMissing(), sqs],
  ["Kafka", await kafkaMissing(), kafka],
] as const;

for (const [name, missing, start] of brokers) {
  const reason = missing ?? redisMissing ?? clocksFixed;
  const title = reason === undefined ? name : `${name} (${reason})`;
  test.skipIf(reason !== undefined)(
    `${title}: nothing waits for clocks that are an hour apart`,
    async () => {
      const broker = await start();
      ends.push(() => broker.stop());
      const redis = await startRedis();
      ends.push(() => redis.stop());
      const store = `redis://127.0.0.1:${redis.port}`;
      const servers = await startAll(broker, store, [shiftMs, -shiftMs]);
      await saveWorkflow(servers[0]!, one);
      const send = async (count: number) => {
        const messages = Array.from({ length: count }, (_, n) => ({ body: `{"n":${n}}` }));
        expect((await broker.sender.send(messages)).filter(Boolean)).toEqual([]);
      };
      const as = { start: { workflow: "one" } };
      await call(servers[0]!, "PUT", "/v1/sources/orders", { from: broker.from, as });
      await send(20);
      await work(servers, 20);
      const counts = () =>
        Promise.all(servers.flatMap((of) => [tickets(of, "offered"), tickets(of, "claimed")]));
      // Each server sends tickets, and has some.
      while ((await counts()).includes(0)) {
        for (const server of servers) await begin(server, 5);
        await work(servers, 10);
      }
      // One server takes over what the other one leaves behind.
      const reader = async (at: ServerProcess) =>
        (await call(at, "GET", "/v1/sources/orders")).body.server;
      const first = await reader(servers[0]!);
      const [dead, alive] = first === "0" ? servers : servers.toReversed();
      dead!.child.kill("SIGKILL");
      while ([first, undefined].includes(await reader(alive!))) await Bun.sleep(100);
      await send(10);
      await work([alive!], 10);
    },
    120_000,
  );
}

const reason = (await ministackMissing()) ?? clocksFixed;
test.skipIf(reason !== undefined)(
  `SQS${reason ?? ""}: what is signed by a wrong clock is signed again by that of the service`,
  async () => {
    const broker = await sqs();
    ends.push(() => broker.stop());
    for (const shift of [shiftMs, -shiftMs]) {
      const folder = mkdtempSync(join(tmpdir(), "orchy-test-"));
      ends.push(() => rmSync(folder, { recursive: true, force: true }));
      const before = broker.refused();
      // A store that has no clock of its own.
      const [server] = await startAll(broker, `sqlite:${folder}/orchy.db`, [shift]);
      await saveWorkflow(server!, one);
      while ((await tickets(server!, "claimed")) === 0) {
        await begin(server!, 3);
        await work([server!], 3);
      }
      expect(broker.refused()).toBeGreaterThan(before);
    }
  },
  60_000,
);
