/**
 * Decodes requests sent as JSON. What is wrong is reported with a pointer to where it is: misspelt
 * members too, as a result whose `failure` is misspelt would otherwise count as a success.
 */
import {
  type DescField,
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  type Message,
} from "@bufbuild/protobuf";
import { OrchyError, type Problem } from "../../base/errors.ts";
import { isTooDeep } from "../../base/json-shape.ts";
import { limits } from "../../base/limits.ts";
import { TaskResultSchema } from "../../gen/orchy/v1/worker_pb.ts";
import { notJson } from "../json-syntax.ts";
import { pointerStep, unknownName } from "../rest/check.ts";
import { notedNumber, noteNumbers, noteRefusal } from "./json-notes.ts";
import { checkListedItems, checkTextParts } from "./parts.ts";
import { recursionLimit } from "./recursion-limit.ts";

/** Unknown members have been looked for; what is left are unknown names of enum values. */
const options = { ignoreUnknownFields: false, recursionLimit } as const;

const utf8 = new TextDecoder("utf-8", { fatal: true });

export function decodeJson(schema: DescMessage, bytes: Uint8Array): Message {
  return decode(schema, readJson(schema, bytes));
}

/** The same as JSON that the library decodes to that message. */
export function checkedJson(schema: DescMessage, bytes: Uint8Array): Buffer {
  const json = readJson(schema, bytes);
  decode(schema, json);
  return Buffer.from(JSON.stringify(json));
}

function readJson(schema: DescMessage, bytes: Uint8Array): JsonValue {
  // An empty body is what `curl -X POST` sends for a message without fields.
  const json = bytes.length === 0 ? {} : parse(decodeText(bytes));
  checkListedItems(schema, json);
  const unknown = findUnknown(schema, json);
  if (unknown !== undefined) throw wrong(unknown);
  return json;
}

function decode(schema: DescMessage, json: JsonValue): Message {
  try {
    return fromJson(schema, json, options);
  } catch {
    if (refuseWrongResults(json)) return decode(schema, json);
    throw wrong(locate(schema, json));
  }
}

/** Results that cannot be decoded are replaced, too. Returns whether any were. */
function refuseWrongResults(json: JsonValue): boolean {
  const results = isObject(json) ? json.results : undefined;
  if (!Array.isArray(results)) return false;
  let any = false;
  for (const [index, item] of results.entries()) {
    if (failure(TaskResultSchema, item) === undefined) continue;
    results[index] = refusedResult(item, index, locate(TaskResultSchema, item));
    any = true;
  }
  return any;
}

function wrong(problem: Problem): OrchyError {
  return new OrchyError("INVALID_ARGUMENT", "The request is invalid.", [problem]);
}

/**
 * The first member that the schema lacks, its pointer relative to `json`. Results with one
 * are replaced by a note of it, as one bad result must not spoil the others. Numbers noted where
 * only a number can be are restored.
 */
function findUnknown(schema: DescMessage, json: JsonValue): Problem | undefined {
  if (!isObject(json) || isFree(schema)) return undefined;
  for (const name of Object.keys(json)) {
    const field = fieldOf(schema, name);
    if (field === undefined) {
      const known = schema.fields.map(({ jsonName }) => jsonName);
      const pointer = pointerStep(name.slice(0, limits.nameCharsMax));
      return { pointer, message: unknownName("member", name, known) };
    }
    const value = json[name]!;
    const { message } = field;
    let problem: Problem | undefined;
    if (field.fieldKind === "map") continue;
    if (message === undefined) {
      json[name] = Array.isArray(value) ? value.map(restored) : restored(value);
    } else if (message === TaskResultSchema && Array.isArray(value)) {
      for (const [index, item] of value.entries()) value[index] = checkResult(item, index);
    } else if (field.fieldKind === "list" && Array.isArray(value)) {
      problem = firstOf(value, (item) => findUnknown(message, item));
    } else {
      problem = findUnknown(message, value);
    }
    if (problem !== undefined) return below(`/${name}`, problem);
  }
  return undefined;
}

function firstOf(
  list: readonly JsonValue[],
  find: (item: JsonValue) => Problem | undefined,
): Problem | undefined {
  for (const [index, item] of list.entries()) {
    const problem = find(item);
    if (problem !== undefined) return below(`/${index}`, problem);
  }
  return undefined;
}

function below(step: string, { pointer, message }: Problem): Problem {
  return { pointer: step + pointer, message };
}

/** An empty result is no success in JSON: its member may be missing by mistake. */
function checkResult(item: JsonValue, index: number): JsonValue {
  if (!isObject(item)) return item;
  const problem = findUnknown(TaskResultSchema, item) ?? (saysSomething(item) ? undefined : silent);
  return problem === undefined ? item : refusedResult(item, index, problem);
}

function saysSomething(item: JsonObject): boolean {
  if (item.output !== undefined) return true;
  const bytes = item.outputJson ?? item.output_json ?? "";
  return bytes !== "" || (item.failure ?? null) !== null;
}

const silent: Problem = {
  pointer: "",
  message: 'It has no output, outputJson or failure; the output null is "output": null.',
};

function refusedResult(item: JsonValue, index: number, { pointer, message }: Problem): JsonValue {
  const token = isObject(item) && typeof item.token === "string" ? item.token : "";
  return { token, output: noteRefusal(`/results/${index}${pointer}: ${message}`) };
}

function isObject(json: JsonValue): json is JsonObject {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

function restored(value: JsonValue): JsonValue {
  const number = typeof value === "string" ? notedNumber(value) : undefined;
  return number === undefined ? value : Number(number);
}

const fields = new WeakMap<DescMessage, ReadonlyMap<string, DescField>>();

function fieldOf(schema: DescMessage, name: string): DescField | undefined {
  let known = fields.get(schema);
  if (known === undefined) {
    const named = schema.fields.flatMap((field) => [
      [field.name, field] as const,
      [field.jsonName, field] as const,
    ]);
    known = new Map(named);
    fields.set(schema, known);
  }
  return known.get(name);
}

/** Free JSON has no members known to a schema. */
export function isFree(schema: DescMessage): boolean {
  return schema.typeName.startsWith("google.protobuf.");
}

/** What is nested without end costs far more to take apart than to count. */
function decodeText(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new OrchyError("INVALID_ARGUMENT", "The body is not UTF-8.");
  }
}

function parse(text: string): JsonValue {
  if (text.length > recursionLimit && isTooDeep(text, recursionLimit)) {
    const message = `The body is nested deeper than ${recursionLimit} levels.`;
    throw new OrchyError("INVALID_ARGUMENT", message);
  }
  checkTextParts(text);
  try {
    return JSON.parse(noteNumbers(text)) as JsonValue;
  } catch {
    throw notJson(text);
  }
}

/** Descends to the innermost member that cannot be decoded: the library names no place. */
function locate(schema: DescMessage, json: JsonValue, pointer = ""): Problem {
  const message = failure(schema, json) ?? "cannot be decoded";
  if (typeof json !== "object" || json === null || Array.isArray(json)) return { pointer, message };
  for (const [name, value] of Object.entries(json)) {
    const reason = failure(schema, { [name]: value });
    const field = fieldOf(schema, name);
    if (reason === undefined || field === undefined) continue;
    if (field.fieldKind === "message") return inside(field.message, value, `${pointer}/${name}`);
    if (field.fieldKind === "list" && Array.isArray(value)) {
      const index = value.findIndex((item) => failure(schema, { [name]: [item] }) !== undefined);
      const place = `${pointer}/${name}/${Math.max(index, 0)}`;
      if (field.listKind === "message") return inside(field.message, value[index] ?? null, place);
      return { pointer: place, message: reason };
    }
    return { pointer: `${pointer}/${name}`, message: reason };
  }
  return { pointer, message };
}

function inside(schema: DescMessage, json: JsonValue, pointer: string): Problem {
  if (!isFree(schema)) return locate(schema, json, pointer);
  return { pointer, message: failure(schema, json) ?? "cannot be decoded" };
}

function failure(schema: DescMessage, json: JsonValue): string | undefined {
  try {
    fromJson(schema, json, options);
    return undefined;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return message.replace(/^cannot decode field \S+ from JSON: /, "").slice(0, 300);
  }
}
