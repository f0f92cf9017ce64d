/** The client of SQS against what imitates it: ministack, and ElasticMQ, which refuses more. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { limits } from "../../src/base/limits.ts";
import type { BrokerFault, IncomingMessage } from "../../src/brokers/message.ts";
import { SqsQueue } from "../../src/brokers/sqs/queue.ts";
import { SqsService } from "../../src/brokers/sqs/service.ts";
import { elasticmqMissing, startElasticmq } from "../support/brokers/elasticmq.ts";
import { ministackMissing, startMinistack } from "../support/brokers/ministack.ts";

const signal = new AbortController().signal;
const systems = [
  ["ministack", await ministackMissing(), startMinistack],
  ["ElasticMQ", await elasticmqMissing(), startElasticmq],
] as const;

for (const [system, missing, start] of systems) {
  const name = missing === undefined ? system : `${system} (${missing})`;
  describe.skipIf(missing !== undefined)(`SQS, as ${name}`, () => {
    let server: Awaited<ReturnType<typeof start>>;
    let service: SqsService;
    beforeAll(async () => {
      process.env.AWS_ACCESS_KEY_ID = "test";
      process.env.AWS_SECRET_ACCESS_KEY = "test-secret";
      server = await start();
      service = new SqsService({ clock: systemClock, endpoint: server.endpoint });
    }, 120_000);
    afterAll(async () => {
      await server.stop();
    });

    const open = (queue: string, visibilitySeconds = 30) =>
      new SqsQueue({ service, queue, visibilitySeconds, create: { VisibilityTimeout: "30" } });

    async function take(queue: SqsQueue, count: number): Promise<IncomingMessage[]> {
      const all: IncomingMessage[] = [];
      while (all.length < count) {
        all.push(...(await queue.receive({ limit: 100, waitMs: 2_000, signal })));
      }
      return all;
    }

    test("messages go in batches, and come with id, headers and count", async () => {
      const queue = open("batches");
      const bodies = Array.from({ length: 25 }, (_, i) => `${i}`);
      const large = { body: "x".repeat(limits.brokerBatchBytesMax + 1) };
      const messages = bodies.map((body) => ({ body, headers: { n: body } }));
      const outcomes = await queue.send([...messages, large]);
      expect(outcomes.map((one) => one?.permanent)).toEqual([...bodies.map(() => undefined), true]);
      expect(await queue.backlog()).toBe(25);
      const got = await take(queue, 25);
      expect(got.map(({ body }) => body).toSorted()).toEqual(bodies.toSorted());
      expect(got.every(({ headers, body }) => headers.n === body)).toBe(true);
      expect(got.every(({ deliveries, sentAt }) => deliveries === 1 && sentAt > 0)).toBe(true);
      await queue.ack(got);
      expect(await queue.backlog()).toBe(0);
    });

    test("what is given back comes again at once, what is not when it is shown again, both with their id", async () => {
      const queue = open("again");
      await queue.send([{ body: "back" }, { body: "late" }]);
      const first = await take(queue, 2);
      const [late] = first.filter(({ body }) => body === "late");
      await queue.giveBack(first.filter(({ body }) => body === "back"));
      const [back] = await take(queue, 1);
      expect(back).toMatchObject({ body: "back", deliveries: 2 });
      expect(first.map(({ id }) => id)).toContain(back!.id);
      await queue.ack([back!]);
      await queue.giveBack([late!]);
      await take(open("again", 1), 1);
      const [again] = await take(queue, 1);
      expect(again).toMatchObject({ id: late!.id, body: "late", deliveries: 3 });
      await queue.ack([again!]);
    });

    test("a FIFO queue goes by ids of messages, not by their bodies, and by groups of any key", async () => {
      const create = { FifoQueue: "true", ContentBasedDeduplication: "true" };
      const name = { service, queue: "ordered.fifo", visibilitySeconds: 30 };
      const queue = new SqsQueue({ ...name, create });
      const key = `a key with spaces ${"x".repeat(200)}`;
      const [one, two] = ["one", "two"].map((id) => ({ body: "same", key, id }));
      const outcomes = await queue.send([one!, two!, one!, { body: "plain", key: "k" }]);
      expect(outcomes).toEqual([undefined, undefined, undefined, undefined]);
      const got = await take(queue, 3);
      expect(got.map(({ body }) => body).toSorted()).toEqual(["plain", "same", "same"]);
      await queue.ack(got);
      expect(await queue.backlog()).toBe(0);
    });

    test("what is sent to a FIFO queue at once stays in order, over several batches", async () => {
      const create = { FifoQueue: "true" };
      const queue = new SqsQueue({ service, queue: "long.fifo", visibilitySeconds: 30, create });
      const bodies = Array.from({ length: 45 }, (_, n) => `${n}`);
      const messages = bodies.map((body) => ({ body, key: "k", id: body }));
      expect((await queue.send(messages)).filter(Boolean)).toEqual([]);
      const got: IncomingMessage[] = [];
      while (got.length < bodies.length) {
        const some = await take(queue, 1);
        got.push(...some);
        await queue.ack(some);
      }
      expect(got.map(({ body }) => body)).toEqual(bodies);
      expect(new Set(got.map(({ group }) => group))).toEqual(new Set(["k"]));
    });

    test("a long poll gets what comes, and one that is cut short returns nothing", async () => {
      const queue = open("long");
      const polled = queue.receive({ limit: 1, waitMs: 20_000, signal });
      await queue.send([{ body: "now" }]);
      expect((await polled).map(({ body }) => body)).toEqual(["now"]);
      const abort = new AbortController();
      const cut = queue.receive({ limit: 1, waitMs: 20_000, signal: abort.signal });
      abort.abort();
      expect(await cut).toEqual([]);
    });

    test("a queue that is missing, or elsewhere, is a permanent fault", async () => {
      const missing = new SqsQueue({ service, queue: "missing", visibilitySeconds: 1 });
      const [fault] = await missing.send([{ body: "x" }]);
      expect(fault).toMatchObject({ permanent: true });
      expect(fault!.message).toBe("SQS has no queue missing. Create it, or name its region.");
      const elsewhere = "http://127.0.0.1:1/000000000000/queue";
      const other = new SqsQueue({ service, queue: elsewhere, visibilitySeconds: 1 });
      const [refused] = await other.send([{ body: "x" }]);
      expect(refused).toMatchObject({ permanent: true });
      expect(refused!.message).toContain("AWS_ENDPOINT_URL_SQS");
    });

    test("one that is away is a fault that passes", async () => {
      const queue = open("away");
      await queue.send([{ body: "x" }]);
      await server.stop();
      const [fault] = (await queue.send([{ body: "y" }])) as BrokerFault[];
      expect(fault).toMatchObject({ permanent: false });
      server = await start(server.port);
      // In memory: it has forgotten its queues, and the name is looked up and created anew.
      while ((await queue.send([{ body: "z" }]))[0] !== undefined);
      expect((await take(queue, 1)).map(({ body }) => body)).toEqual(["z"]);
    });
  });
}
