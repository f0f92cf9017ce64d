/**
 * Payloads at the edge: protobuf values and bytes become JSON text that is known to be valid and
 * within the limits, and text becomes protobuf values. A wrong payload is returned, not thrown.
 */
import { create, type JsonObject } from "@bufbuild/protobuf";
import type { Value } from "@bufbuild/protobuf/wkt";
import { ListValueSchema, NullValue, StructSchema, ValueSchema } from "@bufbuild/protobuf/wkt";
import { isTooDeep } from "../../base/json-shape.ts";
import { limits } from "../../base/limits.ts";
import type { JsonText } from "../../model/json.ts";
import { notedNumber, noteNumbers } from "./json-notes.ts";

type Checked =
  | { readonly ok: true; readonly text: JsonText }
  | { readonly ok: false; readonly message: string };

/** Numbers that might not fit a double: they would silently become something else on their way. */
const hugeNumber = /[eE]\+?0*[1-9]\d\d|\d{300}/;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function wrong(message: string): Checked {
  return { ok: false, message };
}

function tooLarge(bytes: number, bytesMax: number): Checked {
  return wrong(`is ${bytes} bytes of JSON; at most ${bytesMax} are allowed`);
}

const beyondDouble = "has a number beyond 1.8e308";
const tooDeep = `is nested deeper than ${limits.jsonDepthMax} levels`;

function holdsInfinity(value: unknown): boolean {
  if (typeof value === "number") return !Number.isFinite(value);
  if (typeof value !== "object" || value === null) return false;
  return Object.values(value).some(holdsInfinity);
}

/** JSON text as bytes: kept as it is, so that its numbers stay exact. */
export function checkJsonBytes(bytes: Uint8Array, bytesMax: number): Checked {
  if (bytes.length > bytesMax) return tooLarge(bytes.length, bytesMax);
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    return wrong("is not valid UTF-8");
  }
  if (isTooDeep(text, limits.jsonDepthMax)) return wrong(tooDeep);
  try {
    const value: unknown = JSON.parse(text);
    if (hugeNumber.test(text) && holdsInfinity(value)) return wrong(beyondDouble);
  } catch {
    return wrong("is not JSON");
  }
  return { ok: true, text };
}

class WrongValue extends Error {}

/** Written as text at once: keys like `__proto__` never become properties of anything. */
function writeValue(value: Value, depth: number): JsonText {
  const { kind } = value;
  switch (kind.case) {
    case "nullValue":
      return "null";
    case "boolValue":
      return kind.value ? "true" : "false";
    case "numberValue":
      if (!Number.isFinite(kind.value)) throw new WrongValue(`has the number ${kind.value}`);
      return JSON.stringify(kind.value);
    case "stringValue":
      return writeText(kind.value);
    case "listValue":
      if (depth >= limits.jsonDepthMax) throw new WrongValue(tooDeep);
      return `[${kind.value.values.map((item) => writeValue(item, depth + 1)).join(",")}]`;
    case "structValue":
      return writeFields(kind.value.fields, depth);
    default:
      throw new WrongValue("has a value of no kind; null is `null_value`");
  }
}

function writeText(text: string): JsonText {
  const number = notedNumber(text);
  if (number === undefined) return JSON.stringify(text);
  if (!Number.isFinite(Number(number))) throw new WrongValue(beyondDouble);
  return number;
}

function writeFields(fields: Readonly<Record<string, Value>>, depth: number): JsonText {
  if (depth >= limits.jsonDepthMax) throw new WrongValue(tooDeep);
  const members = Object.keys(fields).map(
    (name) => `${JSON.stringify(name)}:${writeValue(fields[name]!, depth + 1)}`,
  );
  return `{${members.join(",")}}`;
}

function checkWritten(write: () => JsonText, bytesMax: number): Checked {
  try {
    const text = write();
    const bytes = Buffer.byteLength(text);
    return bytes > bytesMax ? tooLarge(bytes, bytesMax) : { ok: true, text };
  } catch (error) {
    if (error instanceof WrongValue) return wrong(error.message);
    throw error;
  }
}

export function checkValue(value: Value, bytesMax: number): Checked {
  return checkWritten(() => writeValue(value, 0), bytesMax);
}

export function checkFields(fields: Readonly<Record<string, Value>>, bytesMax: number): Checked {
  return checkWritten(() => writeFields(fields, 0), bytesMax);
}

/**
 * For Struct and Value. Numbers that a double would round are noted for callers of JSON; otherwise
 * they lose digits, and what is beyond any double becomes null.
 */
export function parseForStruct(
  payload: JsonText,
  { json }: { readonly json: boolean },
): JsonObject {
  const text = json ? noteNumbers(payload) : payload;
  const value: unknown = hugeNumber.test(text)
    ? JSON.parse(text, (_name, item) => (item === Infinity || item === -Infinity ? null : item))
    : JSON.parse(text);
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? (value as JsonObject) : {};
}

function toValue(json: unknown): Value {
  return create(ValueSchema, { kind: toKind(json) });
}

export function toValues(json: JsonObject): Record<string, Value> {
  const entries = Object.entries(json).map(([name, item]) => [name, toValue(item)] as const);
  return Object.fromEntries(entries);
}

function toKind(json: unknown): Value["kind"] {
  if (json === null) return { case: "nullValue", value: NullValue.NULL_VALUE };
  if (typeof json === "boolean") return { case: "boolValue", value: json };
  if (typeof json === "number") return { case: "numberValue", value: json };
  if (typeof json === "string") return { case: "stringValue", value: json };
  if (Array.isArray(json)) {
    return { case: "listValue", value: create(ListValueSchema, { values: json.map(toValue) }) };
  }
  const struct = create(StructSchema, { fields: toValues(json as JsonObject) });
  return { case: "structValue", value: struct };
}
