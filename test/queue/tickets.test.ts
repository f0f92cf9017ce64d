/** Names of broker queues, tickets as text, and addresses of task queues. */
import { describe, expect, test } from "bun:test";
import { parseQueueAddress } from "../../src/brokers/queue-address.ts";
import { executionKey } from "../../src/model/ids.ts";
import { brokerQueueName } from "../../src/queue/names.ts";
import { readTicket, writeTicket } from "../../src/queue/ticket-text.ts";

const id = "018f0000-0000-7000-8000-000000000001";
const ticket = {
  queue: "default/charge",
  key: executionKey(id, 16),
  taskId: `${id}:1:1:pay`,
  at: 1_700_000_000_000,
};

describe("a ticket as text", () => {
  test("is read as it was written", () => {
    expect(readTicket(writeTicket(ticket), 16)).toEqual(ticket);
  });

  test.each([
    "",
    "null",
    "{}",
    "[]",
    '"text"',
    JSON.stringify({ queue: 1, execution: id, task: ticket.taskId, at: 1 }),
    JSON.stringify({ queue: "q", execution: id, task: ticket.taskId, at: "1" }),
    JSON.stringify({ queue: "q", execution: id, task: "pay", at: 1 }),
    // A task of another execution, whose partition would be a wrong one.
    JSON.stringify({ queue: "q", execution: `${id}x`, task: ticket.taskId, at: 1 }),
  ])("%s is none", (text) => {
    expect(readTicket(text, 16)).toBeUndefined();
  });
});

describe("the name of a queue at a broker", () => {
  const name = (queue: string, namespace = "orchy") => brokerQueueName("prod", namespace, queue);

  test("is short, plain, and begins with what people look for", () => {
    expect(name("default/charge")).toMatch(/^prod-orchy-default-charge-[0-9a-f]{12}$/);
    const long = name(`default/${"é/".repeat(300)}`);
    expect(long).toMatch(/^[A-Za-z0-9_-]{1,80}$/);
  });

  test("differs where the queue or the namespace does, though it looks alike", () => {
    const names = [name("a/b.c"), name("a/b-c"), name("a/b/c"), name("a/b.c", "other")];
    const long = ["1", "2"].map((end) => name(`default/${"x".repeat(200)}${end}`));
    expect(new Set([...names, ...long]).size).toBe(6);
  });
});

describe("the address of a task queue", () => {
  test.each([
    ["sqs:", { kind: "sqs", prefix: "orchy" }],
    ["sqs:prod?region=eu-west-1", { kind: "sqs", prefix: "prod", region: "eu-west-1" }],
    [
      "sqs:prod?endpoint=http://127.0.0.1:4566",
      { kind: "sqs", prefix: "prod", endpoint: "http://127.0.0.1:4566" },
    ],
    [
      "sqs:https://sqs.eu-west-1.amazonaws.com/123456789012/prod",
      { kind: "sqs", prefix: "prod", region: "eu-west-1" },
    ],
    [
      "sqs:http://127.0.0.1:4566/000000000000/prod",
      { kind: "sqs", prefix: "prod", endpoint: "http://127.0.0.1:4566" },
    ],
  ])("%s", (text, value) => {
    expect(parseQueueAddress(text)).toEqual({ value } as never);
  });

  test("of Kafka, with what topics are created with", () => {
    const text = "kafka:one:9092,two:9092?prefix=prod&partitions=3&replicas=2&tls=true";
    expect(parseQueueAddress(text)).toMatchObject({
      value: {
        kind: "kafka",
        prefix: "prod",
        partitions: 3,
        replicas: 2,
        cluster: { brokers: ["one:9092", "two:9092"], tls: {} },
      },
    });
  });

  test.each([
    ["redis:", "sqs:<prefix or URL> or kafka:<brokers>"],
    ["sqs:a b", "prefix"],
    [`sqs:${"p".repeat(31)}`, "prefix"],
    ["sqs:prod?topic=a", 'no parameter "topic"'],
    ["sqs:prod?endpoint=here", "endpoint"],
    ["kafka:", "brokers"],
    ["kafka:one:9092?partitions=0", "partitions"],
    ["kafka:one:9092?prefix=a.b", "prefix"],
    ["kafka:one:9092?endpoint=a", 'no parameter "endpoint"'],
  ])("%s is refused: %s", (text, problem) => {
    expect(parseQueueAddress(text)).toEqual({ problem: expect.stringContaining(problem) } as never);
  });
});
