/**
 * Sources compiled: their templates, which see one message as `$.message`, and what they become for it.
 * Pure. What is wrong with a message is thrown as a Poison.
 */
import { inBytes } from "../../base/amount.ts";
import { defined } from "../../base/defined.ts";
import { OrchyError, type Problem } from "../../base/errors.ts";
import { isTooDeep } from "../../base/json-shape.ts";
import { limits } from "../../base/limits.ts";
import { type BrokerAddress, parseBrokerAddress } from "../../brokers/address.ts";
import type { IncomingMessage } from "../../brokers/message.ts";
import { cut } from "../../language/data/cut.ts";
import { type Reference, withDefaults } from "../../language/data/reference.ts";
import type { Scope } from "../../language/data/scope.ts";
import {
  compileTemplate,
  resolveTemplate,
  type Template,
  TemplateSyntaxError,
} from "../../language/data/template.ts";
import { TooLarge } from "../../language/data/work.ts";
import { isWaitedEvent, waitedEventForm } from "../../language/kinds/wait.ts";
import type { Json, JsonText } from "../../model/json.ts";
import { isPlainText } from "../../model/names.ts";
import type { SourceDefinition } from "../../model/source.ts";

/** Why a message cannot be handled; it may be another time, if something else changes. */
export class Poison extends Error {
  override readonly name = "Poison";
}

export interface CompiledSource {
  readonly definition: SourceDefinition;
  readonly from: BrokerAddress;
  readonly deadLetter: BrokerAddress | undefined;
  readonly templates: ReadonlyMap<Field, Template>;
  /** A message whose value is not JSON cannot be handled. */
  readonly needsJson: boolean;
}

type Field = "idempotencyKey" | "input" | "correlationId" | "executionId" | "event" | "payload";

/** What a source asks for because of one message. */
export type Asked =
  | {
      readonly kind: "start";
      readonly input: JsonText;
      readonly correlationId?: string;
      readonly idempotencyKey?: string;
    }
  | {
      readonly kind: "signal";
      readonly event: string;
      readonly payload: JsonText;
      readonly to: { readonly executionId: string } | { readonly correlationId: string };
      readonly idempotencyKey?: string;
    };

/** Members of `$.message`. */
const members = [
  "key",
  "value",
  "headers",
  "attributes",
  "id",
  "topic",
  "partition",
  "offset",
  "sentAt",
];
const membersForm = members.map((name) => `$.message.${name}`).join(", ");

/** Throws OrchyError DEFINITION_REFUSED with all problems. */
export function compileSource(definition: SourceDefinition): CompiledSource {
  const problems: Problem[] = [];
  const address = (pointer: string, text: string) => {
    const parsed = parseBrokerAddress(text);
    if ("value" in parsed) return parsed.value;
    problems.push({ pointer, message: `It ${parsed.problem}.` });
    return undefined;
  };
  const from = address("/from", definition.from);
  const { deadLetter: dead } = definition;
  const deadLetter = dead === undefined ? undefined : address("/deadLetter", dead);
  if (dead !== undefined && dead === definition.from) {
    problems.push({ pointer: "/deadLetter", message: "It is where the messages come from." });
  }
  const templates = new Map<Field, Template>();
  for (const [field, pointer, value] of fieldsOf(definition)) {
    const template = compile(value, pointer, problems);
    if (template !== undefined) templates.set(field, template);
  }
  const event = templates.get("event");
  if (event?.references.length === 0) {
    const name: unknown = JSON.parse(resolved(event, scopeOf("null"), "event"));
    if (!isWaitedEvent(name)) {
      problems.push({ pointer: "/as/signal/event", message: `It must be ${waitedEventForm}.` });
    }
  }
  if (problems.length > 0 || from === undefined) {
    throw new OrchyError("DEFINITION_REFUSED", "The source is invalid.", problems);
  }
  const readsValue = [...templates.values()].some(({ references }) =>
    references.flatMap(withDefaults).some(mayReadValue),
  );
  const needsJson = definition.format !== "text" && readsValue;
  return { definition, from, deadLetter, templates, needsJson };
}

function fieldsOf(definition: SourceDefinition): readonly (readonly [Field, string, Json])[] {
  const { as, idempotencyKey } = definition;
  const key: readonly [Field, string, Json | undefined] = [
    "idempotencyKey",
    "/idempotencyKey",
    idempotencyKey,
  ];
  const rest: readonly (readonly [Field, string, Json | undefined])[] =
    "start" in as
      ? [
          ["input", "/as/start/input", as.start.input ?? "$.message.value"],
          ["correlationId", "/as/start/correlationId", as.start.correlationId],
        ]
      : [
          ["event", "/as/signal/event", as.signal.event],
          ["payload", "/as/signal/payload", as.signal.payload ?? "$.message.value"],
          ["executionId", "/as/signal/executionId", as.signal.executionId],
          ["correlationId", "/as/signal/correlationId", as.signal.correlationId],
        ];
  return [key, ...rest].flatMap(([field, pointer, value]) =>
    value === undefined ? [] : [[field, pointer, value] as const],
  );
}

function compile(value: Json, pointer: string, problems: Problem[]): Template | undefined {
  try {
    const template = compileTemplate(value);
    for (const reference of template.references.flatMap(withDefaults)) {
      for (const one of [reference, ...reference.outer.values()]) {
        const message = problemOf(one);
        if (message !== undefined) problems.push({ pointer, message });
      }
    }
    return template;
  } catch (error) {
    if (!(error instanceof TemplateSyntaxError)) throw error;
    for (const { path, message } of error.problems) {
      problems.push({ pointer: [pointer, ...path].join("/"), message });
    }
    return undefined;
  }
}

function problemOf({ text, root, steps, where }: Reference): string | undefined {
  if (root.key !== "message" || where === "output") {
    return `${cut(text)} refers to nothing here: templates of a source refer to ${membersForm}.`;
  }
  const [first] = steps;
  if (first?.kind !== "member" || members.includes(String(first.key))) return undefined;
  return `A message has no ${JSON.stringify(first.key)}: there are ${membersForm}.`;
}

function mayReadValue({ steps }: Reference): boolean {
  const [first] = steps;
  return first?.kind !== "member" || first.key === "value";
}

/** Throws Poison. */
export function askedBy(source: CompiledSource, message: IncomingMessage): Asked {
  const { definition, templates } = source;
  if (Buffer.byteLength(message.body) > limits.sourceMessageBytesMax) {
    throw new Poison(`The value is larger than ${inBytes(limits.sourceMessageBytesMax)}.`);
  }
  const scope = scopeOf(textOf(source, message));
  const resolve = (field: Field): JsonText | undefined => {
    const template = templates.get(field);
    return template && resolved(template, scope, field);
  };
  const word = (field: Field, charsMax: number) => {
    const text = resolve(field);
    return text === undefined ? undefined : wordIn(text, field, charsMax);
  };
  const idempotencyKey = word("idempotencyKey", limits.idempotencyKeyCharsMax);
  const correlationId = word("correlationId", limits.correlationIdCharsMax);
  if ("start" in definition.as) {
    const input = resolve("input")!;
    return { kind: "start", input, ...defined({ correlationId, idempotencyKey }) };
  }
  const event: unknown = JSON.parse(resolve("event")!);
  if (!isWaitedEvent(event)) {
    throw new Poison(`event must be ${waitedEventForm}, not ${cut(JSON.stringify(event))}.`);
  }
  const executionId = word("executionId", limits.nameCharsMax);
  const to = executionId === undefined ? { correlationId: correlationId! } : { executionId };
  return {
    kind: "signal",
    event,
    payload: resolve("payload")!,
    to,
    ...defined({ idempotencyKey }),
  };
}

function resolved(template: Template, scope: Scope, field: Field): JsonText {
  try {
    const answer = resolveTemplate(template, scope);
    const text = answer.ok ? answer.text : "null";
    if (Buffer.byteLength(text) <= limits.payloadBytesMax) return text;
  } catch (error) {
    if (error instanceof TooLarge) throw new Poison(`${field}: ${error.message}`);
    throw error;
  }
  throw new Poison(`${field} is larger than ${inBytes(limits.payloadBytesMax)}.`);
}

/** A number stands for the text of it. */
function wordIn(text: JsonText, field: Field, charsMax: number): string {
  const value: unknown = JSON.parse(text);
  const word = typeof value === "number" ? text : value;
  if (typeof word === "string" && isPlainText(word, charsMax)) return word;
  const form = `text of 1 to ${charsMax} characters without control characters, or a number`;
  throw new Poison(`${field} must be ${form}, not ${cut(text)}.`);
}

/** The message as JSON. */
function textOf({ definition, needsJson }: CompiledSource, message: IncomingMessage): JsonText {
  const { headers } = message;
  // A record of Kafka that has no value.
  const body = message.body === "" && needsJson ? "null" : message.body;
  if (needsJson) checkJson(body);
  const { key = null, id, topic, partition, offset, sentAt } = message;
  const place = defined({ topic, partition, offset });
  const rest = JSON.stringify({ key, id, headers, attributes: headers, sentAt, ...place });
  const value = definition.format === "text" ? JSON.stringify(body) : needsJson ? body : "null";
  return `{"value":${value},${rest.slice(1)}`;
}

function checkJson(body: string): void {
  try {
    JSON.parse(body);
  } catch {
    throw new Poison(`The value is not JSON: ${cut(JSON.stringify(body))}.`);
  }
  if (isTooDeep(body, limits.jsonDepthMax)) {
    throw new Poison(`The value is nested deeper than ${limits.jsonDepthMax} levels.`);
  }
}

function scopeOf(message: JsonText): Scope {
  return {
    input: "null",
    execution: "null",
    output: () => undefined,
    facts: (key) => (key === "message" ? message : undefined),
    actionKeys: () => ["message"],
  };
}
