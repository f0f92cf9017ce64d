/** The client of Kafka against a real broker: security, batches, groups, and a broker that dies. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseKafkaAddress } from "../../src/brokers/kafka/address.ts";
import { KafkaClient } from "../../src/brokers/kafka/client.ts";
import { KafkaReceiver } from "../../src/brokers/kafka/receiver.ts";
import { KafkaSender } from "../../src/brokers/kafka/sender.ts";
import type { BrokerFault, IncomingMessage, Receiver } from "../../src/brokers/message.ts";
import { type KafkaServer, kafkaMissing, kafkaUser, startKafka } from "../support/brokers/kafka.ts";
import { type Authority, createAuthority } from "../support/certificates.ts";
import { startTestServer } from "../support/orchy.ts";

const missing = await kafkaMissing();
const name = missing === undefined ? "" : ` (${missing})`;
const signal = new AbortController().signal;

/** What the client reports of a consumer that has joined its group. */
interface Joined {
  readonly client: { readonly groupId: string; readonly generationId: number };
  readonly operation: string;
  readonly result?: unknown;
}

function addressOf(text: string) {
  const parsed = parseKafkaAddress(text);
  if ("problem" in parsed) throw new Error(parsed.problem);
  return parsed.value;
}

/** Takes and acknowledges messages until `isDone`; faults of a broker that is away are passed over. */
async function takeUntil(
  receiver: Receiver,
  isDone: () => boolean,
  onMessage: (message: IncomingMessage) => void,
  onFault = () => {},
): Promise<void> {
  while (!isDone()) {
    try {
      const messages = await receiver.receive({ limit: 50, waitMs: 200, signal });
      for (const message of messages) onMessage(message);
      await receiver.ack(messages);
    } catch (error) {
      expect((error as BrokerFault).permanent).toBe(false);
      onFault();
    }
  }
}

describe.skipIf(missing !== undefined)(`Kafka${name}`, () => {
  let kafka: KafkaServer;
  let authority: Authority;
  let client: KafkaClient;
  beforeAll(async () => {
    authority = createAuthority();
    kafka = await startKafka({ tls: authority.issue("kafka") });
    client = new KafkaClient(addressOf(kafka.brokers.plaintext));
    const topics = ["secure", "sizes", "shared", "outage", "rejoined"];
    await client.ensureTopics(topics, { partitions: 7, replicas: 1 });
    // A repeat, as of another server, leaves them as they are.
    await client.ensureTopics(topics, { partitions: 7, replicas: 1 });
  }, 120_000);
  afterAll(async () => {
    await client.close();
    await kafka.stop();
    authority.remove();
  });

  test.each([
    ["ssl", ""],
    ["sasl_plaintext", "plain"],
    ["sasl_plaintext", "scram-sha-256"],
    ["sasl_ssl", "scram-sha-512"],
  ] as const)("%s %s: what is sent is received, with key and headers", async (listener, sasl) => {
    const secret = join(authority.folder, "secret");
    writeFileSync(secret, `${kafkaUser.password}\n`);
    const tls = listener.endsWith("ssl") ? [`tls=true&ca=${authority.certPath}`] : [];
    const login = sasl && [`sasl=${sasl}&user=${kafkaUser.name}&password=file:${secret}`];
    const query = [...tls, ...login].join("&");
    const own = new KafkaClient(addressOf(`${kafka.brokers[listener]}?${query}`));
    const receiver = new KafkaReceiver({
      client: own,
      topics: ["secure"],
      group: `${listener}${sasl}`,
    });
    const id = crypto.randomUUID();
    const message = { body: id, key: "k", headers: { kind: "test" } };
    expect(await new KafkaSender(own, "secure").send([message])).toEqual([undefined]);
    const got: IncomingMessage[] = [];
    const isThere = () => got.some(({ body }) => body === id);
    await takeUntil(receiver, isThere, (one) => got.push(one));
    const found = got.find(({ body }) => body === id);
    expect(found).toMatchObject({ key: "k", headers: { kind: "test" }, topic: "secure" });
    expect(found?.group).toBe(`secure/${found?.partition}/k`);
    await receiver.close();
    await own.close();
  });

  test("a wrong password is a permanent fault that does not show it", async () => {
    process.env.ORCHY_TEST_WRONG = "wrong-secret";
    const query = `sasl=scram-sha-256&user=${kafkaUser.name}&password=env:ORCHY_TEST_WRONG`;
    const own = new KafkaClient(addressOf(`${kafka.brokers.sasl_plaintext}?${query}`));
    const [fault] = await new KafkaSender(own, "secure").send([{ body: "x" }]);
    expect(fault).toMatchObject({ permanent: true });
    expect(fault!.message).not.toContain("wrong-secret");
    // A server with such a task queue does not start.
    const address = `kafka:${kafka.brokers.sasl_plaintext}?${query}`;
    const starting = startTestServer({ flags: ["--queue", address] });
    expect(starting).rejects.toThrow("the task queue cannot be used");
    await starting.catch(() => {});
    await own.close();
  });

  test("a message that is too large takes no others with it; a topic that is missing is named", async () => {
    const large = { body: "x".repeat(2_000_000) };
    const sender = new KafkaSender(client, "sizes");
    const outcomes = await sender.send([{ body: "a" }, large, { body: "b" }]);
    expect(outcomes.map((one) => one?.permanent)).toEqual([undefined, true, undefined]);
    const [fault] = await new KafkaSender(client, "missing").send([{ body: "x" }]);
    expect(fault!.permanent).toBe(true);
    expect(fault!.message).toContain("no topic missing");
  });

  test("members come and go; each message is delivered, and all are committed", async () => {
    const total = 3_000;
    const sender = new KafkaSender(client, "shared");
    const seen = new Set<string>();
    const join = () => new KafkaReceiver({ client, topics: ["shared"], group: "shared" });
    const members = [join(), join()];
    const isDone = () => seen.size === total;
    const note = ({ body }: IncomingMessage) => void seen.add(body);
    const send = async (from: number, to: number) => {
      const bodies = Array.from({ length: to - from }, (_, i) => `${from + i}`);
      const messages = bodies.map((body) => ({ body, key: body }));
      expect((await sender.send(messages)).filter(Boolean)).toEqual([]);
    };
    await send(0, 1_000);
    let isLeaving = false;
    const first = takeUntil(members[0]!, () => isDone() || isLeaving, note);
    const second = takeUntil(members[1]!, isDone, note);
    while (seen.size < 500) await Bun.sleep(10);
    // What this one has fetched and not acknowledged is delivered to another.
    isLeaving = true;
    await first;
    await members[0]!.receive({ limit: 20, waitMs: 0, signal });
    await members[0]!.close();
    await send(1_000, 2_000);
    const late = join();
    const third = takeUntil(late, isDone, note);
    await send(2_000, total);
    await Promise.all([second, third]);
    await members[1]!.close();
    await late.close();
    // What came twice at the end is left to this one.
    const after = join();
    let lag = 1;
    const ended = takeUntil(after, () => lag === 0, note);
    while (lag > 0) {
      lag = await after.backlog().catch(() => 1);
      await Bun.sleep(50);
    }
    await ended;
    await after.close();
    expect(seen.size).toBe(total);
  });

  test("a broker that is killed and comes back: faults meanwhile, and nothing is lost", async () => {
    const sender = new KafkaSender(client, "outage");
    /** Of the group, as its member has joined it. */
    const generations: number[] = [];
    const onJoined = (context: unknown) => {
      const { client: by, operation, result } = context as Joined;
      const isOwn = operation === "joinGroup" && by.groupId === "outage";
      if (isOwn && typeof result === "string") generations.push(by.generationId);
    };
    subscribe("tracing:plt:kafka:consumer:group:asyncEnd", onJoined);
    // A group that waited for the end of a session would wait for longer than this test.
    const member = { topics: ["outage"], group: "outage", sessionMs: 300_000 };
    const receiver = new KafkaReceiver({ client, ...member });
    const seen = new Set<string>();
    const sent = new Set<string>();
    let faults = 0;
    const taking = takeUntil(
      receiver,
      () => sent.size > 0 && [...sent].every((one) => seen.has(one)) && sent.has("after"),
      ({ body }) => void seen.add(body),
      () => void faults++,
    );
    for (let i = 0; i < 50; i++) {
      const [fault] = await sender.send([{ body: `${i}` }]);
      if (fault === undefined) sent.add(`${i}`);
    }
    while (seen.size === 0) await Bun.sleep(20);
    await kafka.kill();
    const [fault] = await sender.send([{ body: "lost" }]);
    expect(fault).toMatchObject({ permanent: false });
    const before = faults;
    while (faults === before) await Bun.sleep(20);
    await kafka.restart();
    while ((await sender.send([{ body: "after" }]))[0] !== undefined) await Bun.sleep(100);
    sent.add("after");
    await taking;
    expect([...sent].filter((one) => !seen.has(one))).toEqual([]);
    // The new consumer has taken the place of the last one: nothing was shared out anew.
    unsubscribe("tracing:plt:kafka:consumer:group:asyncEnd", onJoined);
    expect(generations.length).toBeGreaterThan(1);
    expect(new Set(generations).size).toBe(1);
    await receiver.close();
  });

  test("a broker that dies while a member joins its group again: the member is made anew", async () => {
    const topics = ["rejoined"];
    const [{ Consumer }, options] = await Promise.all([client.library(), client.options()]);
    const silent = { sessionTimeout: 9_000, heartbeatInterval: 8_000, rebalanceTimeout: 9_000 };
    const stranger = () => {
      const consumer = new Consumer({ ...options, ...silent, groupId: "rejoined" });
      consumer.on("error", () => {});
      return consumer;
    };
    const others = [stranger(), stranger()];
    let joins = 0;
    const onJoin = (context: unknown) => {
      const { client: by, operation } = context as { client: object; operation: string };
      if (operation === "joinGroup" && !others.some((other) => other === by)) joins += 1;
    };
    subscribe("tracing:plt:kafka:consumer:group:start", onJoin);
    const receiver = new KafkaReceiver({ client, topics, group: "rejoined" });
    const seen: string[] = [];
    const take = (body: string) =>
      takeUntil(
        receiver,
        () => seen.includes(body),
        (message) => void seen.push(message.body),
      );
    const sender = new KafkaSender(client, "rejoined");
    expect(await sender.send([{ body: "before" }])).toEqual([undefined]);
    await take("before");
    const [first, second] = others;
    await first!.joinGroup({});
    // This one is heard of by the receiver, and waited for by it: the first one says nothing for long.
    const before = joins;
    const joining = second!.joinGroup({}).catch(() => {});
    while (joins === before) await Bun.sleep(20);
    unsubscribe("tracing:plt:kafka:consumer:group:start", onJoin);
    await kafka.kill();
    const faults: unknown[] = [];
    while (faults.length === 0) {
      await receiver.receive({ limit: 1, waitMs: 5_000, signal }).catch((one) => faults.push(one));
    }
    expect(faults[0]).toMatchObject({ permanent: false });
    await kafka.restart();
    await joining;
    await Promise.all(others.map((other) => other.close(true).catch(() => {})));
    while ((await sender.send([{ body: "after" }]))[0] !== undefined) await Bun.sleep(100);
    await take("after");
    await receiver.close();
  });
});
