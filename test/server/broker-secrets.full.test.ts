/**
 * What a server says of brokers at the most verbose level, while they work, refuse and are away: the
 * password for Kafka and the credentials for AWS are nowhere in it.
 */
import { afterEach, expect, test } from "bun:test";
import { join } from "node:path";
import { KafkaClient } from "../../src/brokers/kafka/client.ts";
import { KafkaReceiver } from "../../src/brokers/kafka/receiver.ts";
import { kafkaMissing, kafkaUser, startKafka } from "../support/brokers/kafka.ts";
import { ministackMissing, startMinistack } from "../support/brokers/ministack.ts";
import { call, saveWorkflow, startExecution } from "../support/orchy.ts";
import { startProcess } from "../support/process.ts";

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

test.skipIf(missing !== undefined)(
  `no secret of a broker is in anything that a server says${name}`,
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
    const server = await startProcess(
      "memory:",
      { env: { ...env, AWS_ENDPOINT_URL_SQS: sqs.endpoint } },
      ["--kafka", cluster, "--queue", queue],
    );
    ends.push(async () => {
      server.child.kill("SIGKILL");
      await server.child.exited;
    });
    const logged = async (text: string) => {
      while (!server.output.text.includes(text)) await Bun.sleep(50);
    };
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
    await kafka.kill();
    await sqs.stop();
    await startExecution(server, "ship");
    await logged("The broker of kafka:ship is away");
    await logged("The task queue (SQS) is away");

    const paths = ["/health/ready", "/v1/actions/ship", "/v1/actions"];
    const shown = await Promise.all(paths.map((path) => call(server, "GET", path)));
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    const all = [told, server.output.text, JSON.stringify(shown), metrics].join("\n");
    expect(server.output.text).toContain('"level":"debug"');
    expect(secrets.filter((secret) => all.includes(secret))).toEqual([]);
  },
  120_000,
);
