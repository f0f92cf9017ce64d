/**
 * The broker of a run, which carries tickets and brings messages to a source: its faults, and how
 * servers are started with it.
 */
import { systemClock } from "../../src/base/clock.ts";
import { parseKafkaAddress } from "../../src/brokers/kafka/address.ts";
import { KafkaClient } from "../../src/brokers/kafka/client.ts";
import { KafkaReceiver } from "../../src/brokers/kafka/receiver.ts";
import { KafkaSender } from "../../src/brokers/kafka/sender.ts";
import { SqsQueue } from "../../src/brokers/sqs/queue.ts";
import { SqsService } from "../../src/brokers/sqs/service.ts";
import { type KafkaServer, kafkaMissing, startKafka } from "../support/brokers/kafka.ts";
import { type Ministack, ministackMissing, startMinistack } from "../support/brokers/ministack.ts";
import type { Chance } from "../support/chance.ts";
import type { Fault, Healed } from "./faults.ts";
import { startWays } from "./proxy.ts";
import { type Place, type SourcePlaces, sourceName } from "./source.ts";
import { wayFaults } from "./ways.ts";

export const queues = ["sqs", "kafka"] as const;
export type Queue = (typeof queues)[number];

export interface BrokerBed {
  /** Further flags of each server. */
  readonly flags: readonly (readonly string[])[];
  /** Variables of each server. */
  readonly environments: readonly Readonly<Record<string, string>>[];
  readonly source: SourcePlaces;
  /** A message is out for so long at a server that says nothing, before others get it; 0: for no time. */
  readonly hiddenMs: number;
  faults(chance: Chance): readonly Fault[];
  stop(): Promise<void>;
}

/** As `Brokers` has it. */
const visibilityMs = 60_000;
/** For whoever disturbs a source, so that it is soon over. */
const visibilitySecondsOfStranger = 5;
/** More than there are servers. */
const partitions = 6;

/** Why there can be none here; undefined when there can. */
export function brokerMissing(queue: Queue): Promise<string | undefined> {
  return queue === "sqs" ? ministackMissing() : kafkaMissing();
}

export function startBroker(queue: Queue, servers: number): Promise<BrokerBed> {
  return queue === "sqs" ? startSqs(servers) : startKafkaBed(servers);
}

/**
 * What held the tickets is gone when that comes back, its queues too. Of messages SQS loses none, so
 * that those have a service of their own, which is not killed.
 */
async function startSqs(servers: number): Promise<BrokerBed> {
  let sqs: Ministack = await startMinistack();
  const lasting = await startMinistack();
  const { port } = sqs;
  const ways = await startWays(port, servers);
  const waysOfSource = await startWays(lasting.port, servers);
  const kill = () => sqs.stop();
  const restart = async () => {
    sqs = await startMinistack(port);
  };
  const key = { AWS_ACCESS_KEY_ID: "test", AWS_SECRET_ACCESS_KEY: "test" };
  Object.assign(process.env, key);
  const service = new SqsService({ clock: systemClock, endpoint: lasting.endpoint });
  return {
    flags: ways.map((way) => [
      "--queue",
      `sqs:chaos?endpoint=http://127.0.0.1:${way.port}&region=eu-west-1`,
    ]),
    environments: waysOfSource.map((way) => ({
      ...key,
      AWS_ENDPOINT_URL_SQS: `http://127.0.0.1:${way.port}`,
    })),
    source: {
      from: await queuePlace(service, "orders"),
      deadLetter: await queuePlace(service, "dead"),
    },
    hiddenMs: visibilityMs,
    faults: (chance) => [
      ...wayFaults("SQS", [...ways, ...waysOfSource], chance),
      {
        name: "SQS: kill -9, restart, empty",
        weight: 3,
        strike: () => away(chance, { kill, restart }),
      },
    ],
    async stop() {
      for (const way of [...ways, ...waysOfSource]) way.stop();
      await Promise.all([sqs.stop(), lasting.stop()]);
    },
  };
}

async function queuePlace(service: SqsService, queue: string): Promise<Place> {
  const visibilitySeconds = visibilitySecondsOfStranger;
  const open = () => new SqsQueue({ service, queue, visibilitySeconds, create: {} });
  const sender = open();
  // Servers do not create it.
  await sender.backlog();
  return { address: `sqs:${queue}`, sender, join: open };
}

async function startKafkaBed(servers: number): Promise<BrokerBed> {
  const kafka = await startKafka();
  const address = kafka.brokers.plaintext;
  const parsed = parseKafkaAddress(address);
  if ("problem" in parsed) throw new Error(parsed.problem);
  const client = new KafkaClient(parsed.value);
  await client.ensureTopics(["orders", "dead"], { partitions, replicas: 1 });
  const place = (topic: string, group: string): Place => ({
    address: `kafka:${topic}`,
    sender: new KafkaSender(client, topic),
    join: () => new KafkaReceiver({ client, topics: [topic], group }),
  });
  return {
    flags: Array.from({ length: servers }, () => [
      ...["--queue", `kafka:${address}`],
      ...["--kafka", address],
    ]),
    environments: [],
    source: {
      from: place("orders", `orchy.orchy.${sourceName}`),
      deadLetter: place("dead", "oracle"),
    },
    hiddenMs: 0,
    faults: (chance) => [
      { name: "Kafka: kill -9, restart", weight: 1, strike: () => away(chance, kafka) },
    ],
    async stop() {
      await client.close();
      await kafka.stop();
    },
  };
}

async function away(
  chance: Chance,
  broker: Pick<KafkaServer, "kill" | "restart">,
): Promise<Healed> {
  await broker.kill();
  await Bun.sleep(chance.below(8_000));
  const atMs = performance.now();
  await broker.restart();
  return { atMs };
}
