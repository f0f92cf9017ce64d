/**
 * What a server says of brokers at the most verbose level, and what it stores, while they work, refuse
 * and are away: the password for Kafka and the credentials for AWS are nowhere in it.
 */
import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KafkaClient } from "../../src/brokers/kafka/client.ts";
import { KafkaReceiver } from "../../src/brokers/kafka/receiver.ts";
import { kafkaMissing, kafkaUser, startKafka } from "../support/brokers/kafka.ts";
import { ministackMissing, startMinistack } from "../support/brokers/ministack.ts";
import { call, saveWorkflow, startExecution } from "../support/orchy.ts";
import { type ServerProcess, startProcess } from "../support/process.ts";

const missing = (await kafkaMissing()) ?? (await ministackMissing());
const name = missing === undefined ? "" : ` (${missing})`;
const { signal } = new AbortController();
const wrong = "another-password-9f3c";
const env = {
  KAFKA_PASSWORD: kafkaUser.password,
  AWS_ACCESS_KEY_ID: "AKIAORCHYTEST",
  AWS_SECRET_ACCESS_KEY: "aws-secret-7c1d",
  AWS_SESSION_TOKEN: "aws-token-52aa",
  ORCHY_LOG_LEVEL: "debug",
};
const secrets = [
  kafkaUser.password,
  wrong,
  env.AWS_SECRET_ACCESS_KEY,
  env.AWS_SESSION_TOKEN,
  Buffer.from(`\0${kafkaUser.name}\0${kafkaUser.password}`).toString("base64"),
];

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** With a store of its own, which `stored` reads as it is on the disk. */
async function begin(more: Readonly<Record<string, string>>, flags: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), "orchy-secrets-"));
  const server = await startProcess(
    `sqlite:${folder}/orchy.db`,
    { env: { ...env, ...more } },
    flags,
  );
  ends.push(async () => {
    server.child.kill("SIGKILL");
    await server.child.exited;
    rmSync(folder, { recursive: true });
  });
  const stored = () => {
    const files = readdirSync(folder).map((file) => readFileSync(join(folder, file), "latin1"));
    return files.join("\n");
  };
  return { server, stored };
}

const paths = ["/health/ready", "/v1/actions/ship", "/v1/actions", "/v1/sources", "/metrics"];

/** What is to be read over HTTP, as it is. */
async function shownBy(server: ServerProcess, ...more: readonly string[]): Promise<string> {
  const answers = [...paths, ...more].map(async (path) => (await fetch(server.url + path)).text());
  return (await Promise.all(answers)).join("\n");
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await Bun.sleep(50);
}

test.skipIf(missing !== undefined)(
  `no secret of a broker is in anything that a server says or stores${name}`,
  async () => {
    const kafka = await startKafka();
    ends.push(() => kafka.stop());
    const sqs = await startMinistack();
    ends.push(() => sqs.stop());
    const client = new KafkaClient({ brokers: [kafka.brokers.plaintext], rest: new Map() });
    ends.push(() => client.close());
    await client.ensureTopics(["ship"], { partitions: 1, replicas: 1 });
    const login = `sasl=scram-sha-512&user=${kafkaUser.name}&password=env:KAFKA_PASSWORD`;
    const cluster = `${kafka.brokers.sasl_plaintext}?${login}`;

    const main = join(import.meta.dir, "../../src/main.ts");
    const flags = ["--store", "memory:", "--http-port", "0", "--grpc-port", "0"];
    const refused = Bun.spawn([process.execPath, main, ...flags, "--queue", `kafka:${cluster}`], {
      env: { ...process.env, ...env, KAFKA_PASSWORD: wrong },
      stdout: "pipe",
      stderr: "pipe",
    });
    const said = [refused.stdout, refused.stderr].map((stream) => new Response(stream).text());
    const told = (await Promise.all(said)).join("");
    expect(told).toContain("the task queue cannot be used: Kafka:");
    expect(await refused.exited).toBe(1);

    const queue = `sqs:test?endpoint=${sqs.endpoint}&region=eu-west-1`;
    const brokers = ["--kafka", cluster];
    const shut = await begin({ KAFKA_PASSWORD: wrong }, brokers);
    const as = { start: { workflow: "nowhere" } };
    await call(shut.server, "PUT", "/v1/sources/orders", { from: "kafka:ship", as });
    const endpoint = { AWS_ENDPOINT_URL_SQS: sqs.endpoint };
    const { server, stored } = await begin(endpoint, [...brokers, "--queue", queue]);
    const logged = (text: string) => until(() => server.output.text.includes(text));
    const deadLetter = "sqs:nowhere";
    await call(server, "PUT", "/v1/sources/dead", { from: "kafka:ship", as, deadLetter });
    // There is no such queue.
    for (const [action, to] of [
      ["ship", "kafka:ship"],
      ["charge", "sqs:charge"],
    ] as const) {
      await call(server, "PUT", `/v1/actions/${action}`, { deliver: { to } });
      const actions = [{ id: "a", type: "user", name: action }];
      await saveWorkflow(server, { name: action, rootAction: "a", actions });
      await startExecution(server, action);
    }
    const receiver = new KafkaReceiver({ client, topics: ["ship"], group: "test" });
    ends.push(() => receiver.close());
    let ticket: string | undefined;
    while (ticket === undefined) {
      const [message] = await receiver.receive({ limit: 1, waitMs: 1_000, signal });
      ticket = message && JSON.parse(message.body).ticket;
    }
    const { body } = await call(server, "POST", "/v1/tasks/complete", { ticket });
    expect(body).toEqual({ status: "accepted" });
    await logged("a broker refuses a ticket");
    await logged("a message became a dead letter");
    const stateOf = async (at: ServerProcess, source: string): Promise<string> =>
      (await call(at, "GET", `/v1/sources/${source}`)).body.state;
    await until(async () => (await stateOf(shut.server, "orders")) === "failing");
    await kafka.kill();
    await sqs.stop();
    await startExecution(server, "ship");
    await logged("The broker of kafka:ship is away");
    await logged("The task queue (SQS) is away");
    await until(async () => (await stateOf(server, "dead")) === "failing");

    const shown = await shownBy(server, "/v1/sources/dead/parked");
    expect(shown).toContain("There is no workflow nowhere. SQS has no queue nowhere.");
    expect(await shownBy(shut.server)).toContain("Kafka: ");
    expect(stored()).toContain("sqs:nowhere");
    expect(server.output.text).toContain('"level":"debug"');
    const all = {
      refused: told,
      log: server.output.text + shut.server.output.text,
      shown: shown + (await shownBy(shut.server)),
      stored: stored() + shut.stored(),
    };
    const found = Object.entries(all).flatMap(([where, text]) =>
      secrets.filter((secret) => text.includes(secret)).map((secret) => [where, secret]),
    );
    expect(found).toEqual([]);
  },
  120_000,
);
