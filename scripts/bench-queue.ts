/**
 * `bun run bench:queue`: what carrying tasks by a broker costs, next to the store's own queue. Prints a
 * table. It starts Redis and the brokers itself; the processor time is that of the two servers.
 *
 * - *added*: from a start at one server until a poll that waits at the other has its task.
 * - *tasks/s*: a backlog queued at one server, then polls come to the other.
 * - *requests*: to SQS, for each task of that backlog, and their price at 0.40 USD a million.
 */
import { integer } from "../src/config/settings.ts";
import { startAwsProxy } from "../test/support/aws-proxy.ts";
import { elasticmqMissing, startElasticmq } from "../test/support/brokers/elasticmq.ts";
import { kafkaMissing, startKafka } from "../test/support/brokers/kafka.ts";
import { ministackMissing, startMinistack } from "../test/support/brokers/ministack.ts";
import { redisMissing, startRedis } from "../test/support/redis.ts";
import {
  call,
  percentile,
  type Running,
  startMany,
  startServer,
  stop,
  usage,
} from "./bench/support.ts";
import { readOptions, refuse } from "./options.ts";

const options = readOptions("What a broker costs that carries tasks: latency, rate, requests.", {
  tasks: {
    type: "string",
    default: "300",
    about: "whose latency is measured",
    read: integer(10, 10 ** 6),
  },
  backlog: { type: "string", default: "3000", about: "of tasks", read: integer(100, 10 ** 6) },
});
if (redisMissing !== undefined) refuse(redisMissing);
process.env.AWS_ACCESS_KEY_ID ??= "test";
process.env.AWS_SECRET_ACCESS_KEY ??= "test";

const usdPerRequest = 0.4 / 1_000_000;
const action = "bench-task";
const workflow = {
  name: action,
  rootAction: "a",
  actions: [{ id: "a", type: "user", name: action }],
};

interface Broker {
  readonly flags: readonly string[];
  /** Requests so far; undefined: they are not counted. */
  requests(): number | undefined;
  stop(): Promise<void>;
}

const none = async (): Promise<Broker> => ({
  flags: [],
  requests: () => undefined,
  stop: async () => {},
});

const sqs = (start: typeof startMinistack | typeof startElasticmq) => async (): Promise<Broker> => {
  const server = await start();
  const proxy = await startAwsProxy(server.endpoint);
  return {
    flags: ["--queue", `sqs:bench?endpoint=${proxy.endpoint}&region=eu-west-1`],
    requests: () => proxy.requests.length,
    async stop() {
      proxy.stop();
      await server.stop();
    },
  };
};

async function kafka(): Promise<Broker> {
  const server = await startKafka();
  const flags = ["--queue", `kafka:${server.brokers.plaintext}`];
  return { flags, requests: () => undefined, stop: () => server.stop() };
}

type Polled = { readonly tasks?: readonly { readonly token: string }[] };

function poll(at: Running, body: object): Promise<Polled> {
  const request = { actions: [action], waitSeconds: 20, ...body };
  return call(at.url, "/orchy.v1.WorkerService/Poll", request);
}

const resultsOf = ({ tasks = [] }: Polled) => tasks.map(({ token }) => ({ token, output: null }));

async function latencies(from: Running, at: Running): Promise<number[]> {
  const times: number[] = [];
  let results: object[] = [];
  for (let count = 0; count < options.tasks; count++) {
    const waiting = poll(at, { results });
    // The poll is on its way before the start is sent, and there long before its task.
    await Bun.sleep(5);
    const begun = performance.now();
    await call(from.url, "/v1/executions", { workflow: action, input: {} });
    results = resultsOf(await waiting);
    times.push(performance.now() - begun);
  }
  await call(at.url, "/orchy.v1.WorkerService/Complete", { results });
  // The first ones find or create queues and topics.
  return times.slice(5);
}

async function drain(from: Running, at: Running, broker: Broker) {
  const sent = broker.requests();
  await startMany([from.url], action, { count: options.backlog });
  const before = cpuOf(from, at);
  const begun = performance.now();
  let left = options.backlog;
  const lane = async () => {
    let results: object[] = [];
    while (left > 0) {
      const polled = await poll(at, { maxTasks: 50, waitSeconds: 2, results });
      results = resultsOf(polled);
      left -= results.length;
    }
    if (results.length > 0) await call(at.url, "/orchy.v1.WorkerService/Complete", { results });
  };
  await Promise.all(Array.from({ length: 4 }, lane));
  const seconds = (performance.now() - begun) / 1000;
  const cpu = cpuOf(from, at) - before;
  const now = broker.requests();
  const requests = sent === undefined || now === undefined ? undefined : now - sent;
  return { perSecond: options.backlog / seconds, cpu: cpu / options.backlog, requests };
}

function cpuOf(...servers: readonly Running[]): number {
  return servers.reduce((sum, server) => sum + usage(server.process.pid).cpu, 0);
}

const rows: Record<string, Record<string, string>> = {};
for (const [name, missing, start] of [
  ["the store's own (Redis)", undefined, none],
  ["SQS (ministack)", await ministackMissing(), sqs(startMinistack)],
  ["SQS (ElasticMQ)", await elasticmqMissing(), sqs(startElasticmq)],
  ["Kafka", await kafkaMissing(), kafka],
] as const) {
  if (missing !== undefined) {
    console.log(`SKIPPED ${name}: ${missing}`);
    continue;
  }
  const redis = await startRedis();
  const broker = await start();
  const { flags } = broker;
  const store = `redis://127.0.0.1:${redis.port}`;
  const servers = [
    await startServer({ store, flags }),
    await startServer({ store, flags }),
  ] as const;
  await call(servers[0].url, "/v1/workflows", workflow);
  const times = await latencies(...servers);
  const { perSecond, cpu, requests } = await drain(...servers, broker);
  const perTask = requests === undefined ? undefined : requests / options.backlog;
  rows[name] = {
    "p50 ms": percentile(times, 0.5).toFixed(1),
    "p99 ms": percentile(times, 0.99).toFixed(1),
    "tasks/s": perSecond.toFixed(0),
    "CPU µs/task": (cpu * 1e6).toFixed(0),
    "requests/task": perTask?.toFixed(2) ?? "",
    "USD/million tasks": perTask === undefined ? "" : (perTask * 1e6 * usdPerRequest).toFixed(2),
  };
  for (const server of servers) await stop(server);
  await broker.stop();
  await redis.stop();
}
console.table(rows);
process.exit(0);
