/** Templates of sources: what they refuse when they are saved, and what they become for a message. */
import { expect, test } from "bun:test";
import { OrchyError } from "../../../src/base/errors.ts";
import type { IncomingMessage } from "../../../src/brokers/message.ts";
import type { SourceDefinition } from "../../../src/model/source.ts";
import { askedBy, compileSource, Poison } from "../../../src/runtime/sources/compiled.ts";

const message = (body: string, more: Partial<IncomingMessage> = {}): IncomingMessage => ({
  id: "orders/3/17",
  body,
  headers: { tenant: "t-1" },
  sentAt: 1_700_000_000_000,
  handle: "",
  topic: "orders",
  partition: 3,
  offset: "17",
  ...more,
});

const starts = (start: object, more: object = {}): SourceDefinition => ({
  from: "kafka:orders",
  as: { start: { workflow: "w", ...start } },
  ...more,
});

const asked = (definition: SourceDefinition, of: IncomingMessage) =>
  askedBy(compileSource(definition), of);

function problemsOf(definition: SourceDefinition): readonly object[] {
  try {
    compileSource(definition);
  } catch (error) {
    if (error instanceof OrchyError && error.code === "DEFINITION_REFUSED") return error.details;
    throw error;
  }
  return [];
}

test("the input is the value as it was sent, or what a template makes of the message", () => {
  const body = '{"id": 12345678901234567890, "lines": [1]}';
  expect(asked(starts({}), message(body))).toEqual({ kind: "start", input: body });
  const input = {
    ...{ id: "$.message.value.id", key: "$.message.key", tenant: "$.message.headers.tenant" },
    ...{ same: "$.message.attributes.tenant", at: "{$.message.topic}/{$.message.offset}" },
    ...{ part: "$.message.partition", none: "$.message.value.none ?? 0", text: "$$.x" },
  };
  const definition = starts({ input, correlationId: "order-{$.message.value.id}" });
  expect(asked(definition, message(body, { key: "k" }))).toEqual({
    kind: "start",
    input:
      '{"id":12345678901234567890,"key":"k","tenant":"t-1","same":"t-1","at":"orders/17",' +
      '"part":3,"none":0,"text":"$.x"}',
    correlationId: "order-12345678901234567890",
  });
});

test("a value is JSON where a template reads it, unless the source says that it is text", () => {
  const poison = expect.objectContaining({ message: 'The value is not JSON: "no {".' });
  expect(() => asked(starts({}), message("no {"))).toThrow(poison);
  expect(asked(starts({}, { format: "text" }), message("no {"))).toEqual({
    kind: "start",
    input: '"no {"',
  });
  expect(asked(starts({ input: "$.message.id" }), message("no {"))).toEqual({
    kind: "start",
    input: '"orders/3/17"',
  });
  // A record without a value.
  expect(asked(starts({}), message(""))).toEqual({ kind: "start", input: "null" });
});

test("signals: event, payload and receiver are templates", () => {
  const signal = {
    event: "{$.message.value.what}-done",
    executionId: "$.message.value.id",
    payload: { n: "$.message.value.n" },
  };
  const definition: SourceDefinition = {
    from: "sqs:events",
    as: { signal },
    idempotencyKey: "$.message.value.n",
  };
  expect(asked(definition, message('{"what":"order","id":"e-1","n":1.50}'))).toEqual({
    kind: "signal",
    event: "order-done",
    payload: '{"n":1.50}',
    to: { executionId: "e-1" },
    idempotencyKey: "1.50",
  });
});

test.each([
  [{ idempotencyKey: "$.message.value.none" }, "idempotencyKey must be text of 1 to 256 "],
  [{ idempotencyKey: "$.message.value" }, "idempotencyKey must be text of 1 to 256 "],
  [{ idempotencyKey: "$.message.value.blank" }, "idempotencyKey must be text of 1 to 256 "],
])("what is no key is refused: %j", (more, sentence) => {
  const poison = () => asked(starts({}, more), message('{"blank":"a\\nb"}'));
  expect(poison).toThrow(Poison);
  expect(poison).toThrow(sentence);
});

test("a message above the bound, and one too deep, are refused", () => {
  const large = message(JSON.stringify("x".repeat(1024 * 1024)));
  expect(() => asked(starts({}), large)).toThrow("The value is larger than 1 MiB.");
  const deep = message(`${"[".repeat(200)}${"]".repeat(200)}`);
  expect(() => asked(starts({}), deep)).toThrow("nested deeper than 128 levels");
});

test("all that is wrong with a definition is said at once", () => {
  const definition = starts(
    { input: { a: "$.input.x", b: ["$.message.valu"], c: "{$.message.value" } },
    { from: "rabbit:orders", deadLetter: "kafka:or ders", idempotencyKey: "$.message.output" },
  );
  const pointers = problemsOf(definition).map((one) => (one as { pointer: string }).pointer);
  expect(pointers).toEqual(["/from", "/deadLetter", "/idempotencyKey", "/as/start/input/c"]);
  const references = starts({ input: { a: "$.input.x", b: ["$.message.valu"] } });
  expect(problemsOf(references)).toEqual([
    {
      pointer: "/as/start/input",
      message: expect.stringContaining("$.input.x refers to nothing here"),
    },
    { pointer: "/as/start/input", message: expect.stringContaining('A message has no "valu"') },
  ]);
  expect(problemsOf(starts({}, { deadLetter: "kafka:orders" }))).toEqual([
    { pointer: "/deadLetter", message: "It is where the messages come from." },
  ]);
});
