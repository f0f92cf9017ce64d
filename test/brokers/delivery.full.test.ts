/**
 * Tasks of real servers on their way to consumers of real brokers: the examples of the documents do
 * them, while brokers and servers die.
 */
import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { limits } from "../../src/base/limits.ts";
import { KafkaClient } from "../../src/brokers/kafka/client.ts";
import type { IncomingMessage } from "../../src/brokers/message.ts";
import { SqsQueue } from "../../src/brokers/sqs/queue.ts";
import { SqsService } from "../../src/brokers/sqs/service.ts";
import { elasticmqMissing, startElasticmq } from "../support/brokers/elasticmq.ts";
import {
  type KafkaServer,
  kafkaClasses,
  kafkaMissing,
  startKafka,
} from "../support/brokers/kafka.ts";
import { ministackMissing, startMinistack } from "../support/brokers/ministack.ts";
import { installPython } from "../support/installed.ts";
import { call, saveWorkflow, startExecution, untilEnded } from "../support/orchy.ts";
import { freePort } from "../support/ports.ts";
import { type ServerProcess, startProcess } from "../support/process.ts";
import { until } from "../support/redis.ts";

setDefaultTimeout(90_000);

const examples = join(import.meta.dirname, "../interop/brokers");
const signal = new AbortController().signal;
const secret = "a-secret-that-no-log-has";
const region = "us-east-1";
const aws = {
  AWS_ACCESS_KEY_ID: "test",
  AWS_SECRET_ACCESS_KEY: secret,
  AWS_REGION: region,
  AWS_DEFAULT_REGION: region,
};

const running: Bun.Subprocess[] = [];
const folders: string[] = [];
let over = new AbortController();
afterEach(async () => {
  over.abort();
  over = new AbortController();
  for (const child of running.splice(0)) {
    child.kill("SIGKILL");
    await child.exited;
  }
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A server that can be killed, and started again on the same file. */
function place(env: Record<string, string>, flags: readonly string[] = []) {
  const folder = mkdtempSync(join(tmpdir(), "orchy-delivery-"));
  folders.push(folder);
  const ports = { http: freePort(), grpc: freePort() };
  return async (): Promise<ServerProcess> => {
    const server = await startProcess(`sqlite:${folder}/orchy.db`, { ...ports, env }, flags);
    running.push(server.child);
    return server;
  };
}

async function saveDelivered(server: ServerProcess, name: string, to: string): Promise<void> {
  await call(server, "PUT", `/v1/actions/${name}`, { deliver: { to }, retryAfterSeconds: 0.1 });
  const actions = [{ id: 1, type: "user", name, parameters: "$.input" }];
  await saveWorkflow(server, { name, rootAction: 1, actions, output: "$.1.output" });
}

async function outputOf(server: ServerProcess, id: string): Promise<unknown> {
  await untilEnded(server, id);
  return (await call(server, "GET", `/v1/executions/${id}/result`)).body.result;
}

const sqsSystems = [
  ["ministack", await ministackMissing(), startMinistack],
  ["ElasticMQ", await elasticmqMissing(), startElasticmq],
] as const;

for (const [system, missing, startSystem] of sqsSystems) {
  const name = missing === undefined ? system : `${system} (${missing})`;
  describe.skipIf(missing !== undefined)(`SQS, as ${name}`, () => {
    let broker: Awaited<ReturnType<typeof startSystem>>;
    let env: Record<string, string>;

    beforeAll(async () => {
      Object.assign(process.env, aws);
      broker = await startSystem();
      env = { ...aws, AWS_ENDPOINT_URL_SQS: broker.endpoint };
    });
    afterAll(() => broker.stop());

    async function openQueue(queue: string, visibilitySeconds = 1): Promise<SqsQueue> {
      const service = new SqsService({ clock: systemClock, endpoint: broker.endpoint });
      const create = { VisibilityTimeout: `${visibilitySeconds}` };
      const opened = new SqsQueue({ service, queue, visibilitySeconds, create });
      await until(async () => {
        return opened.backlog().then(
          () => true,
          () => false,
        );
      });
      return opened;
    }

    async function take(queue: SqsQueue): Promise<IncomingMessage> {
      for (;;) {
        const [message] = await queue.receive({ limit: 1, waitMs: 2_000, signal });
        if (message !== undefined) return message;
      }
    }

    const boto = installPython("boto3", "1.44.5");

    test("the example in Python does the tasks, with small and large parameters", async () => {
      const installed = await boto;
      if ("missing" in installed) return console.log(`skipped: ${installed.missing}`);
      await openQueue("charges", 30);
      const server = await place(env)();
      await saveDelivered(server, "charge", "sqs:charges");
      const worker = Bun.spawn(["python3", join(examples, "charge_sqs.py")], {
        env: {
          ...process.env,
          ...env,
          ORCHY: server.url,
          QUEUE: "charges",
          PYTHONPATH: installed.folder,
        },
        stdin: "ignore",
      });
      running.push(worker);
      const large = "x".repeat(2 * limits.ticketParametersBytesMax);
      const inputs = [
        ...Array.from({ length: 20 }, (_, n) => ({ amount: n })),
        { amount: 99, large },
      ];
      const ids = await Promise.all(inputs.map((input) => startExecution(server, "charge", input)));
      for (const [index, { amount }] of inputs.entries()) {
        expect(await outputOf(server, ids[index]!)).toEqual({ charged: amount });
      }
      const bad = await startExecution(server, "charge", {});
      await untilEnded(server, bad);
      const { body } = await call(server, "GET", `/v1/executions/${bad}/result`);
      expect(body.error).toMatchObject({ code: "CHARGE_FAILED", message: "'amount'" });
      expect(server.output.text).not.toContain(secret);
    });

    test("a message whose visibility ends says that its task is leased, and later that it is done", async () => {
      const queue = await openQueue("visible");
      const server = await place(env)();
      await saveDelivered(server, "visible", "sqs:visible");
      const id = await startExecution(server, "visible", { n: 1 });
      const first = await take(queue);
      const { ticket } = JSON.parse(first.body);
      const claim = async () => (await call(server, "POST", "/v1/tasks/claim", { ticket })).body;
      const { task } = await claim();
      const again = await take(queue);
      expect([again.id, again.deliveries]).toEqual([first.id, 2]);
      expect(await claim()).toEqual({ status: "leased", leaseUntil: task.leaseUntil });
      const results = [{ token: task.token, output: { ok: true } }];
      await call(server, "POST", "/orchy.v1.WorkerService/Complete", { results });
      expect(await outputOf(server, id)).toEqual({ ok: true });
      const last = await take(queue);
      expect([last.id, await claim()]).toEqual([first.id, { status: "done" }]);
      await queue.ack([last]);
    });

    test("tasks that are made while the broker is away are sent when it is back", async () => {
      await openQueue("away");
      const server = await place(env)();
      await saveDelivered(server, "away", "sqs:away");
      await broker.stop();
      const ids: string[] = [];
      for (let n = 0; n < 12; n++) ids.push(await startExecution(server, "away", { n }));
      await until(async () => {
        const ready = await call(server, "GET", "/health/ready");
        return ready.status === 200 && ready.body.checks.brokers?.ok === false;
      });
      broker = await startSystem(broker.port);
      const queue = await openQueue("away", 30);
      const done = new Set<string>();
      while (done.size < ids.length) {
        const message = await take(queue);
        const { ticket, executionId, parameters } = JSON.parse(message.body);
        const body = { ticket, output: parameters };
        const { status } = (await call(server, "POST", "/v1/tasks/complete", body)).body;
        expect(status).toBe(done.has(executionId) ? "done" : "accepted");
        done.add(executionId);
        await queue.ack([message]);
      }
      for (const [n, id] of ids.entries()) expect(await outputOf(server, id)).toEqual({ n });
      expect(server.output.text.split("is away").length).toBe(2);
      expect(server.output.text).not.toContain(secret);
    });
  });
}

const kafkaAbsent = await kafkaMissing();
describe.skipIf(kafkaAbsent !== undefined)(`Kafka${kafkaAbsent ? ` (${kafkaAbsent})` : ""}`, () => {
  let kafka: KafkaServer;
  let client: KafkaClient;

  beforeAll(async () => {
    kafka = await startKafka();
    client = new KafkaClient({ brokers: [kafka.brokers.plaintext], rest: new Map() });
  });
  afterAll(async () => {
    await client.close();
    await kafka.stop();
  });

  /** It ends where it reaches neither broker nor server, and is started again, until it is over. */
  async function keepShipping(server: ServerProcess): Promise<void> {
    const program = ["-cp", await kafkaClasses(), join(examples, "Ship.java"), "shipping"];
    const { signal: ended } = over;
    const begin = () => {
      const worker = Bun.spawn(["java", ...program], {
        env: { ...process.env, ORCHY: server.url, KAFKA: kafka.brokers.plaintext },
        stdin: "ignore",
        stdout: "ignore",
        stderr: "ignore",
      });
      running.push(worker);
      void worker.exited.then(() => {
        if (!ended.aborted) begin();
      });
    };
    begin();
  }

  test("the example in Java does the tasks, while the broker dies and the server dies", async () => {
    await client.ensureTopics(["shipping"], { partitions: 3, replicas: 1 });
    const start = place({}, ["--kafka", kafka.brokers.plaintext]);
    let server = await start();
    await saveDelivered(server, "ship", "kafka:shipping");
    await keepShipping(server);
    const ids: string[] = [];
    const ship = async (count: number) => {
      for (let n = 0; n < count; n++) {
        ids.push(await startExecution(server, "ship", { sku: `${ids.length}` }));
      }
    };
    await ship(20);
    await untilEnded(server, ids[0]!);
    await kafka.kill();
    await ship(20);
    // Some are parked by now, some wait for a reply: nobody knows of them but the store.
    server.child.kill("SIGKILL");
    await server.child.exited;
    await kafka.restart();
    server = await start();
    await ship(20);
    for (const [n, id] of ids.entries()) {
      expect(await outputOf(server, id)).toEqual({ shipped: `${n}` });
    }
    for (const id of ids) {
      const { body } = await call(server, "GET", `/v1/executions/${id}`);
      expect(body.actions[0].attempts.length).toBe(1);
    }
  }, 240_000);
});
