/**
 * A Kafka broker for a test (KRaft, one node): on free ports of loopback, in a temporary folder,
 * stopped by its process id. It listens without TLS and without a password, with SASL, and with
 * certificates of the test also with TLS.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Issued } from "../certificates.ts";
import { installMaven, TestProgram } from "../installed.ts";
import { freePort } from "../ports.ts";
import { untilListening } from "./listening.ts";

const version = "4.3.1";

/** In memory where that can be: disks may be busy. */
const folders = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** Who may enter by SASL: PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512. */
export const kafkaUser = { name: "alice", password: "alice-secret" } as const;

const listeners = ["plaintext", "sasl_plaintext", "ssl", "sasl_ssl"] as const;
type Listener = (typeof listeners)[number];

export interface KafkaServer {
  /** Addresses host:port by listener; those with TLS only where it was started with certificates. */
  readonly brokers: Readonly<Record<Listener, string>>;
  /** At once, without a chance to tidy up. */
  kill(): Promise<void>;
  /** Again, with the same data, at the same ports. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const program = new TestProgram(() => installMaven("org.apache.kafka", "kafka_2.13", version));

/** Why it cannot be started here; undefined when it can. Installs it where it is missing. */
export function kafkaMissing(): Promise<string | undefined> {
  return program.missing();
}

/** A class path with its clients, too. */
export async function kafkaClasses(): Promise<string> {
  return join(await program.folder(), "*");
}

const flags = ["-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
const clusterId = "b3JjaHktdGVzdC1rYWZrYQ";

export async function startKafka({
  tls,
  settings = {},
}: {
  readonly tls?: Issued;
  readonly settings?: Readonly<Record<string, string>>;
} = {}): Promise<KafkaServer> {
  const folder = await program.folder();
  const home = mkdtempSync(join(folders, "orchy-kafka-"));
  const open = listeners.filter((name) => tls !== undefined || !name.endsWith("ssl"));
  const addresses = open.map((name) => [name, `127.0.0.1:${freePort()}`] as const);
  const protocol = (name: Listener) => `${name.toUpperCase()}:${name.toUpperCase()}`;
  const named = addresses.map(([name, address]) => `${name.toUpperCase()}://${address}`).join(",");
  const controller = `127.0.0.1:${freePort()}`;
  const login = "org.apache.kafka.common.security";
  const { name, password } = kafkaUser;
  const plain = `${login}.plain.PlainLoginModule required user_${name}="${password}";`;
  const scram = `${login}.scram.ScramLoginModule required;`;
  const store = join(home, "server.pem");
  if (tls !== undefined) writeFileSync(store, `${tls.key}${tls.cert}`);
  const all: Record<string, string> = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.quorum.voters": `1@${controller}`,
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": [...open.map(protocol), "CONTROLLER:PLAINTEXT"].join(","),
    listeners: `${named},CONTROLLER://${controller}`,
    "advertised.listeners": named,
    "inter.broker.listener.name": "PLAINTEXT",
    "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
    "log.dirs": join(home, "data"),
    "auto.create.topics.enable": "false",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "log.cleaner.enable": "false",
    // One that was killed is let in again after so long.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    ...settings,
  };
  for (const listener of open.filter((one) => one.startsWith("sasl"))) {
    for (const mechanism of ["plain", "scram-sha-256", "scram-sha-512"]) {
      const key = `listener.name.${listener}.${mechanism}.sasl.jaas.config`;
      all[key] = mechanism === "plain" ? plain : scram;
    }
  }
  if (tls !== undefined) {
    all["ssl.keystore.type"] = "PEM";
    all["ssl.keystore.location"] = store;
  }
  const file = join(home, "server.properties");
  writeFileSync(
    file,
    Object.entries(all)
      .map(([key, value]) => `${key}=${value}`)
      .join("\n"),
  );
  const log = Bun.file(join(home, "log"));
  const java = (main: string, ...args: readonly string[]) =>
    Bun.spawn(["java", ...flags, "-cp", join(folder, "*"), main, ...args], {
      stdin: "ignore",
      stdout: log,
      stderr: log,
    });
  const users = ["SCRAM-SHA-256", "SCRAM-SHA-512"].flatMap((mechanism) => [
    "--add-scram",
    `${mechanism}=[name=${name},password=${password}]`,
  ]);
  const formatted = java(
    "kafka.tools.StorageTool",
    "format",
    "-t",
    clusterId,
    "-c",
    file,
    ...users,
  );
  if ((await formatted.exited) !== 0) {
    throw new Error(`Kafka could not format its folder:\n${await log.text()}`);
  }
  let child: Bun.Subprocess | undefined;
  const start = async () => {
    child = java("kafka.Kafka", file);
    const [, address] = addresses[0]!;
    await untilListening("Kafka", child, { isReady: () => answersRequests(address), log });
  };
  const kill = async () => {
    child?.kill("SIGKILL");
    await child?.exited;
  };
  await start();
  return {
    brokers: Object.fromEntries(addresses) as Record<Listener, string>,
    kill,
    restart: start,
    async stop() {
      await kill();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** ApiVersions, which a broker leaves waiting until it has joined its cluster. */
const request = new Uint8Array([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 255, 255]);
const answerMsMax = 5_000;

async function answersRequests(address: string): Promise<boolean> {
  const [hostname = "", port] = address.split(":");
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = await Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      open: (open) => void open.write(request),
      data: () => resolve(true),
      close: () => resolve(false),
    },
  });
  const timer = setTimeout(() => resolve(false), answerMsMax);
  const answered = await promise;
  clearTimeout(timer);
  socket.end();
  return answered;
}
