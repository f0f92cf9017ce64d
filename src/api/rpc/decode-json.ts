/** Decodes requests sent as JSON. What is wrong is told with a pointer to where it is. */
import { type DescMessage, fromJson, type JsonValue, type Message } from "@bufbuild/protobuf";
import { OrchyError, type Problem } from "../../errors.ts";
import { isTooDeep } from "../rest/json-syntax.ts";
import { checkListedItems, checkTextParts } from "./parts.ts";
import { jsonOptions, recursionLimit } from "./services.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true });

export function decodeJson(schema: DescMessage, bytes: Uint8Array): Message {
  let json: JsonValue;
  try {
    // An empty body is what `curl -X POST` sends for a message without fields.
    json = bytes.length === 0 ? {} : parse(utf8.decode(bytes));
  } catch (error) {
    if (error instanceof OrchyError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new OrchyError("INVALID_ARGUMENT", `The body is not JSON: ${reason}`);
  }
  checkListedItems(schema, json);
  try {
    return fromJson(schema, json, jsonOptions);
  } catch {
    throw new OrchyError("INVALID_ARGUMENT", "The request is wrong.", [locate(schema, json)]);
  }
}

/** What is nested without end costs far more to take apart than to count. */
function parse(text: string): JsonValue {
  if (text.length > recursionLimit && isTooDeep(text, recursionLimit)) {
    throw new Error(`it is nested deeper than ${recursionLimit} levels`);
  }
  checkTextParts(text);
  return JSON.parse(text) as JsonValue;
}

/** Descends to the innermost member that cannot be decoded: the library names no place. */
function locate(schema: DescMessage, json: JsonValue, pointer = ""): Problem {
  const message = failure(schema, json) ?? "cannot be decoded";
  if (typeof json !== "object" || json === null || Array.isArray(json)) return { pointer, message };
  for (const [name, value] of Object.entries(json)) {
    const reason = failure(schema, { [name]: value });
    const field = schema.fields.find((each) => each.jsonName === name || each.name === name);
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

/** Free JSON has no members known to a schema. */
function inside(schema: DescMessage, json: JsonValue, pointer: string): Problem {
  const isFree = schema.typeName.startsWith("google.protobuf.");
  if (!isFree) return locate(schema, json, pointer);
  return { pointer, message: failure(schema, json) ?? "cannot be decoded" };
}

function failure(schema: DescMessage, json: JsonValue): string | undefined {
  try {
    fromJson(schema, json, jsonOptions);
    return undefined;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return message.replace(/^cannot decode field \S+ from JSON: /, "").slice(0, 300);
  }
}
