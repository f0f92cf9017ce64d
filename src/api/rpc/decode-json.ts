/** Decodes requests sent as JSON. What is wrong is told with a pointer to where it is. */
import { type DescMessage, fromJson, type JsonValue, type Message } from "@bufbuild/protobuf";
import { OrchyError } from "../../errors.ts";
import { jsonOptions } from "./services.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true });

export function decodeJson(schema: DescMessage, bytes: Uint8Array): Message {
  let json: JsonValue;
  try {
    // An empty body is what `curl -X POST` sends for a message without fields.
    json = bytes.length === 0 ? {} : (JSON.parse(utf8.decode(bytes)) as JsonValue);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new OrchyError("INVALID_ARGUMENT", `The body is not JSON: ${reason}`);
  }
  try {
    return fromJson(schema, json, jsonOptions);
  } catch {
    throw new OrchyError("INVALID_ARGUMENT", "The request is wrong.", [locate(schema, json)]);
  }
}

/** Descends to the innermost message that cannot be decoded: the library names no place. */
function locate(schema: DescMessage, json: JsonValue, pointer = "") {
  for (const { child, name, value } of children(schema, json)) {
    const message = failure(child, value);
    if (message !== undefined) return locate(child, value, `${pointer}/${name}`);
  }
  return { pointer, message: failure(schema, json) ?? "cannot be decoded" };
}

interface Child {
  readonly child: DescMessage;
  readonly name: string;
  readonly value: JsonValue;
}

function* children(schema: DescMessage, json: JsonValue): Iterable<Child> {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return;
  if (schema.typeName.startsWith("google.protobuf.")) return;
  for (const field of schema.fields) {
    const child = "message" in field ? field.message : undefined;
    const name = field.jsonName in json ? field.jsonName : field.name;
    const value = json[name];
    if (child === undefined || value === undefined || value === null) continue;
    if (field.fieldKind === "message") {
      yield { child, name, value };
    } else if (field.fieldKind === "list" && Array.isArray(value)) {
      for (const [index, item] of value.entries()) {
        yield { child, name: `${name}/${index}`, value: item };
      }
    }
  }
}

function failure(schema: DescMessage, json: JsonValue): string | undefined {
  try {
    fromJson(schema, json, jsonOptions);
    return undefined;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return message.slice(0, 300);
  }
}
