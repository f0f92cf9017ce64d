/**
 * A source on a real Kafka, over TLS with a password: each record starts one execution, while a server is
 * killed, partitions move to a stranger and back, and the broker dies and returns.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseKafkaAddress } from "../../src/brokers/kafka/address.ts";
import { KafkaClient } from "../../src/brokers/kafka/client.ts";
import { KafkaReceiver } from "../../src/brokers/kafka/receiver.ts";
import { KafkaSender } from "../../src/brokers/kafka/sender.ts";
import { type KafkaServer, kafkaMissing, kafkaUser, startKafka } from "../support/brokers/kafka.ts";
import { type Authority, createAuthority } from "../support/certificates.ts";
import { call, saveWorkflow } from "../support/orchy.ts";
import { type ServerProcess, startProcess } from "../support/process.ts";
import { type RedisServer, redisMissing, startRedis } from "../support/redis.ts";

const missing = (await kafkaMissing()) ?? redisMissing;
const name = missing === undefined ? "" : ` (${missing})`;

const total = 10_000;
/** More than there are servers. */
const partitions = 12;

describe.skipIf(missing !== undefined)(`a source on Kafka${name}`, () => {
  let kafka: KafkaServer;
  let redis: RedisServer;
  let authority: Authority;
  let client: KafkaClient;
  let servers = new Map<string, ServerProcess>();

  beforeAll(async () => {
    authority = createAuthority();
    [kafka, redis] = await Promise.all([
      startKafka({ tls: authority.issue("kafka") }),
      startRedis(),
    ]);
    const parsed = parseKafkaAddress(kafka.brokers.plaintext);
    if ("problem" in parsed) throw new Error(parsed.problem);
    client = new KafkaClient(parsed.value);
    await client.ensureTopics(["orders", "dead"], { partitions, replicas: 1 });
    const secret = join(authority.folder, "secret");
    writeFileSync(secret, kafkaUser.password);
    const login = `sasl=scram-sha-512&user=${kafkaUser.name}&password=file:${secret}`;
    const address = `${kafka.brokers.sasl_ssl}?tls=true&ca=${authority.certPath}&${login}`;
    const store = `redis://127.0.0.1:${redis.port}`;
    for (const node of ["one", "two", "three"]) {
      const flags = ["--kafka", address, "--node-name", node];
      servers.set(node, await startProcess(store, {}, flags));
    }
  }, 120_000);

  afterAll(async () => {
    for (const { child } of servers.values()) {
      child.kill();
      await child.exited;
    }
    await client?.close();
    await kafka?.stop();
    await redis?.stop();
    authority?.remove();
  });

  const some = () => [...servers.values()][0]!;
  const source = async () => (await call(some(), "GET", "/v1/sources/orders")).body;

  /** The source as it is then. */
  async function until(holds: (source: Awaited<ReturnType<typeof call>>["body"]) => boolean) {
    for (let looks = 0; ; looks++) {
      const found = await source();
      if (holds(found)) return found;
      if (looks === 1_200) throw new Error(`it did not come to be: ${JSON.stringify(found)}`);
      await Bun.sleep(100);
    }
  }

  async function send(from: number, to: number): Promise<void> {
    const messages = Array.from({ length: to - from }, (_, i) => ({
      key: `${from + i}`,
      body: `{"n":"${from + i}"}`,
    }));
    const faults = await new KafkaSender(client, "orders").send(messages);
    expect(faults.filter(Boolean)).toEqual([]);
  }

  /** The numbers of the records that have started an execution, of each execution one. */
  async function startedBy(): Promise<readonly string[]> {
    const found: string[] = [];
    for (let cursor = ""; ; ) {
      const page = await call(some(), "GET", `/v1/executions?limit=500${cursor}`);
      found.push(...page.body.items.map((one: { correlationId: string }) => one.correlationId));
      if (page.body.cursor === undefined) return found;
      cursor = `&cursor=${page.body.cursor}`;
    }
  }

  test("10,000 records start 10,000 executions, whatever dies meanwhile", async () => {
    const actions = [{ id: "a", type: "system", name: "wait", event: "go" }];
    await saveWorkflow(some(), { name: "waits", rootAction: "a", actions });
    await call(some(), "PUT", "/v1/sources/orders", {
      from: "kafka:orders",
      as: { start: { workflow: "waits", correlationId: "$.message.value.n" } },
      deadLetter: "kafka:dead",
    });
    await send(0, 3_000);
    const first = await until((one) => one.status?.started >= 500);
    // A stranger in the group takes partitions and messages, and leaves without a word of them.
    const group = "orchy.orchy.orders";
    const stranger = new KafkaReceiver({ client, topics: ["orders"], group });
    const { signal } = new AbortController();
    let sent = 3_000;
    for (let taken = 0; taken === 0 && sent < 5_000; sent += 20) {
      await send(sent, sent + 20);
      taken = (await stranger.receive({ limit: 100, waitMs: 1_000, signal })).length;
    }
    expect(sent).toBeLessThan(5_000);
    await send(sent, 5_000);
    await stranger.close();
    const killed = servers.get(first.server)!;
    servers = new Map([...servers].filter(([, one]) => one !== killed));
    killed.child.kill("SIGKILL");
    await send(5_000, 7_000);
    const second = await until((one) => one.server !== first.server && one.status?.started > 0);
    expect([...servers.keys()]).toContain(second.server);
    await kafka.kill();
    await kafka.restart();
    for (let at = 7_000; at < total; at += 1_000) await send(at, at + 1_000);
    for (let looks = 0; looks < 300 && (await startedBy()).length < total; looks++) {
      await Bun.sleep(500);
    }
    await until((one) => one.status?.inFlight === 0 && one.status.lag === 0);
    const found = await startedBy();
    expect([found.length, new Set(found).size]).toEqual([total, total]);
  }, 300_000);

  test("a poison record goes to the topic for dead letters", async () => {
    await new KafkaSender(client, "orders").send([{ key: "k", body: "{" }]);
    const dead = new KafkaReceiver({ client, topics: ["dead"], group: "test" });
    const { signal } = new AbortController();
    for (let letters = 0; letters === 0; ) {
      const messages = await dead.receive({ limit: 10, waitMs: 1_000, signal });
      letters = messages.length;
      if (letters === 0) continue;
      expect(messages).toEqual([expect.objectContaining({ key: "k", body: "{" })]);
      expect(JSON.parse(messages[0]!.headers["orchy-dead-letter"]!)).toMatchObject({
        source: "orders",
        tries: 5,
        reason: 'The value is not JSON: "{".',
      });
    }
    await dead.close();
  }, 120_000);

  test("the password is in no line of a log, and in no document", async () => {
    const log = [...servers.values()].map(({ output }) => output.text).join();
    expect(log).toContain("this server reads the source");
    expect(log).not.toContain(kafkaUser.password);
    expect(JSON.stringify(await source())).not.toContain(kafkaUser.password);
  });
});
