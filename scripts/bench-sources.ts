/**
 * `bun run bench:sources`: how many records of Kafka a second a source turns into acknowledged starts, and
 * what callers of the same server notice of that. Prints a table; nothing here passes or fails.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseKafkaAddress } from "../src/brokers/kafka/address.ts";
import { KafkaClient } from "../src/brokers/kafka/client.ts";
import { KafkaSender } from "../src/brokers/kafka/sender.ts";
import { integer } from "../src/config/settings.ts";
import { kafkaMissing, startKafka } from "../test/support/brokers/kafka.ts";
import { call, median, percentile, startServer, stop, storeIn, usage } from "./bench/support.ts";
import { readOptions } from "./options.ts";

const options = readOptions("Sources: records of Kafka to acknowledged starts.", {
  store: { type: "string", default: "sqlite", about: "sqlite (a new file), or an empty store" },
  records: { type: "string", default: "20000", about: "of a round", read: integer(1, 1_000_000) },
  partitions: { type: "string", default: "8", about: "of the topic", read: integer(1, 100) },
  rounds: { type: "string", default: "3", about: "of each, in turn", read: integer(1, 100) },
  callers: {
    type: "string",
    default: "4",
    about: "that start executions over REST beside it",
    read: integer(1, 64),
  },
});
const missing = await kafkaMissing();
if (missing !== undefined) {
  console.error(missing);
  process.exit(1);
}

const folder = mkdtempSync(join(tmpdir(), "orchy-bench-"));
const kafka = await startKafka();
const address = parseKafkaAddress(kafka.brokers.plaintext);
if ("problem" in address) throw new Error(address.problem);
const client = new KafkaClient(address.value);
const store = storeIn(folder, options.store);
const server = await startServer({ store, flags: ["--kafka", kafka.brokers.plaintext] });
const actions = [{ id: "a", type: "system", name: "wait", event: "go" }];
await call(server.url, "/v1/workflows", { name: "bench", rootAction: "a", actions });

async function sourceCall(name: string, method: string, body?: object) {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${server.url}/v1/sources/${name}`, {
    method,
    headers,
    ...(body && { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(await response.text());
  return response.status === 204
    ? {}
    : ((await response.json()) as { status?: { started: number } });
}

/** Milliseconds that starts of callers take, until `isOver`. */
async function callUntil(isOver: () => boolean): Promise<number[]> {
  const times: number[] = [];
  async function one(): Promise<void> {
    while (!isOver()) {
      const begun = performance.now();
      await call(server.url, "/v1/executions", { workflow: "bench", input: { n: 1 } });
      times.push(performance.now() - begun);
      // Callers of ordinary pace, not a second flood.
      await Bun.sleep(5);
    }
  }
  await Promise.all(Array.from({ length: options.callers }, one));
  return times;
}

async function quiet(): Promise<number[]> {
  const until = performance.now() + 3_000;
  return callUntil(() => performance.now() > until);
}

/** A topic that is full from the beginning; with callers beside the source, or alone. */
async function flood(name: string, isCalled: boolean) {
  await client.ensureTopics([name], { partitions: options.partitions, replicas: 1 });
  const messages = Array.from({ length: options.records }, (_, n) => ({
    key: `${n}`,
    body: JSON.stringify({ n, customer: `customer-${n}`, lines: [{ sku: "a-1", count: 2 }] }),
  }));
  const faults = await new KafkaSender(client, name).send(messages);
  if (faults.some(Boolean)) throw new Error(String(faults.find(Boolean)));
  const started = async () => (await sourceCall(name, "GET")).status?.started ?? 0;
  await sourceCall(name, "PUT", { from: `kafka:${name}`, as: { start: { workflow: "bench" } } });
  while ((await started()) === 0) await Bun.sleep(5);
  const before = {
    cpu: usage(server.process.pid).cpu,
    at: performance.now(),
    done: await started(),
  };
  let isOver = false;
  const called = isCalled ? callUntil(() => isOver) : Promise.resolve([]);
  while ((await started()) < options.records) await Bun.sleep(20);
  const seconds = (performance.now() - before.at) / 1000;
  const cpu = usage(server.process.pid).cpu - before.cpu;
  isOver = true;
  const times = await called;
  await sourceCall(name, "DELETE");
  const count = options.records - before.done;
  return { rate: count / seconds, cost: (cpu * 1e6) / count, times };
}

await flood("warm", false);
const alone: Awaited<ReturnType<typeof flood>>[] = [];
const beside: Awaited<ReturnType<typeof flood>>[] = [];
const calm: number[][] = [];
for (let round = 0; round < options.rounds; round++) {
  alone.push(await flood(`alone-${round}`, false));
  calm.push(await quiet());
  beside.push(await flood(`beside-${round}`, true));
}
const shown = (all: readonly number[], digits = 0) => Number(median([...all]).toFixed(digits));
console.table({
  "source alone": {
    "messages/s": shown(alone.map(({ rate }) => rate)),
    "CPU µs/message": shown(alone.map(({ cost }) => cost)),
  },
  "callers alone": {
    "start p50 ms": shown(
      calm.map((times) => percentile(times, 0.5)),
      1,
    ),
    "start p99 ms": shown(
      calm.map((times) => percentile(times, 0.99)),
      1,
    ),
  },
  both: {
    "messages/s": shown(beside.map(({ rate }) => rate)),
    "CPU µs/message": shown(beside.map(({ cost }) => cost)),
    "start p50 ms": shown(
      beside.map(({ times }) => percentile(times, 0.5)),
      1,
    ),
    "start p99 ms": shown(
      beside.map(({ times }) => percentile(times, 0.99)),
      1,
    ),
  },
});
await stop(server);
await client.close();
await kafka.stop();
rmSync(folder, { recursive: true, force: true });
