/** The broker of a run that carries tickets, its faults, and how servers are started with it. */
import { type KafkaServer, kafkaMissing, startKafka } from "../support/brokers/kafka.ts";
import { type Ministack, ministackMissing, startMinistack } from "../support/brokers/ministack.ts";
import type { Chance } from "../support/chance.ts";
import type { Fault, Healed } from "./faults.ts";
import { startWays } from "./proxy.ts";
import { wayFaults } from "./ways.ts";

export const queues = ["sqs", "kafka"] as const;
export type Queue = (typeof queues)[number];

export interface BrokerBed {
  /** Further flags of each server. */
  readonly flags: readonly (readonly string[])[];
  readonly environment: Readonly<Record<string, string>>;
  faults(chance: Chance): readonly Fault[];
  stop(): Promise<void>;
}

/** Why there can be none here; undefined when there can. */
export function brokerMissing(queue: Queue): Promise<string | undefined> {
  return queue === "sqs" ? ministackMissing() : kafkaMissing();
}

export function startBroker(queue: Queue, servers: number): Promise<BrokerBed> {
  return queue === "sqs" ? startSqs(servers) : startKafkaBed(servers);
}

/** What it held is gone when it comes back, its queues too. */
async function startSqs(servers: number): Promise<BrokerBed> {
  let sqs: Ministack = await startMinistack();
  const { port } = sqs;
  const ways = await startWays(port, servers);
  const kill = () => sqs.stop();
  const restart = async () => {
    sqs = await startMinistack(port);
  };
  return {
    flags: ways.map((way) => [
      "--queue",
      `sqs:chaos?endpoint=http://127.0.0.1:${way.port}&region=eu-west-1`,
    ]),
    environment: { AWS_ACCESS_KEY_ID: "test", AWS_SECRET_ACCESS_KEY: "test" },
    faults: (chance) => [
      ...wayFaults("SQS", ways, chance),
      {
        name: "SQS: kill -9, restart, empty",
        weight: 3,
        strike: () => away(chance, { kill, restart }),
      },
    ],
    async stop() {
      for (const way of ways) way.stop();
      await sqs.stop();
    },
  };
}

async function startKafkaBed(servers: number): Promise<BrokerBed> {
  const kafka = await startKafka();
  return {
    flags: Array.from({ length: servers }, () => ["--queue", `kafka:${kafka.brokers.plaintext}`]),
    environment: {},
    faults: (chance) => [
      { name: "Kafka: kill -9, restart", weight: 1, strike: () => away(chance, kafka) },
    ],
    stop: () => kafka.stop(),
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
