/** Addresses of brokers as operators and documents write them, and what is wrong with others. */
import { describe, expect, test } from "bun:test";
import { parseBrokerAddress } from "../../src/brokers/address.ts";
import { parseKafkaAddress } from "../../src/brokers/kafka/address.ts";
import { parseQueueAddress } from "../../src/brokers/queue-address.ts";

describe("an address in a document", () => {
  test.each([
    ["kafka:orders.new-1", { kind: "kafka", topic: "orders.new-1" }],
    ["sqs:orders", { kind: "sqs", queue: "orders" }],
    ["sqs:orders.fifo", { kind: "sqs", queue: "orders.fifo" }],
    ["sqs:orders?region=eu-west-1", { kind: "sqs", queue: "orders", region: "eu-west-1" }],
    [
      "sqs:https://sqs.eu-west-1.amazonaws.com/123456789012/orders",
      { kind: "sqs", queue: "https://sqs.eu-west-1.amazonaws.com/123456789012/orders" },
    ],
  ])("%s is read", (text, value) => {
    expect(parseBrokerAddress(text)).toEqual({ value } as never);
  });

  test.each([
    "orders",
    "kafka:",
    "kafka:..",
    "kafka:a/b",
    "kafka://other:9092/orders",
    "kafka:orders?sasl=plain",
    `kafka:${"t".repeat(250)}`,
    "sqs:",
    "sqs:orders/new",
    "sqs:orders?endpoint=http://127.0.0.1:1",
    "sqs:orders?region=http://127.0.0.1",
    `sqs:${"q".repeat(81)}`,
    "sqs:https://user:secret@sqs.eu-west-1.amazonaws.com/1/orders",
    "sqs:https://sqs.eu-west-1.amazonaws.com/1/orders?region=eu-west-2",
  ])("%s is refused", (text) => {
    expect(parseBrokerAddress(text)).toHaveProperty("problem");
  });
});

describe("the address of a Kafka cluster", () => {
  test("with TLS and SASL", () => {
    const query = "tls=true&ca=/ca.pem&sasl=scram-sha-512&user=orchy&password=env:KAFKA_PASSWORD";
    expect(parseKafkaAddress(`one:9092,[::1]:9093?${query}`)).toEqual({
      value: {
        brokers: ["one:9092", "[::1]:9093"],
        tls: { ca: "/ca.pem" },
        sasl: { mechanism: "SCRAM-SHA-512", user: "orchy", password: "env:KAFKA_PASSWORD" },
        rest: new Map(),
      },
    });
  });

  test("parameters of the caller are left to it", () => {
    const parsed = parseKafkaAddress("//one:9092?prefix=a.&tls=false", ["prefix"]);
    const rest = new Map([["prefix", "a."]]);
    expect(parsed).toEqual({ value: { brokers: ["one:9092"], rest } });
  });

  test.each([
    ["", "must name brokers"],
    ["one", "must name brokers"],
    ["one:99999", "must name brokers"],
    ["one:9092?tls=yes", "tls=true or tls=false"],
    ["one:9092?ca=/ca.pem", "without tls=true"],
    ["one:9092?tls=true&cert=/cert.pem", "both cert and key"],
    ["one:9092?user=orchy", "without sasl"],
    ["one:9092?sasl=gssapi&user=a&password=env:A", "plain, scram-sha-256, scram-sha-512"],
    ["one:9092?sasl=plain&user=a", "needs user and password"],
    ["one:9092?prefix=a", 'no parameter "prefix"'],
  ])("%s is refused: %s", (text, problem) => {
    expect(parseKafkaAddress(text)).toEqual({ problem: expect.stringContaining(problem) } as never);
  });

  test("a password is refused without being repeated", () => {
    const parsed = parseKafkaAddress("one:9092?sasl=plain&user=a&password=hunter2");
    expect(parsed).toEqual({ problem: expect.stringContaining("env:NAME or file:PATH") } as never);
    expect(JSON.stringify(parsed)).not.toContain("hunter2");
  });
});

describe("the address of a task queue", () => {
  test.each(["tasks.fifo", "https://sqs.eu-west-1.amazonaws.com/123456789012/tasks.fifo"])(
    "a FIFO queue is refused: %s",
    (name) => {
      const problem = "names a FIFO queue, and tickets need standard ones: leave .fifo out";
      expect(parseQueueAddress(`sqs:${name}`)).toEqual({ problem });
    },
  );
});
