/**
 * How much a request comes to once it is decoded: two bytes of it may become an object, and 70 KB
 * that are packed 8 million of them. So parts are counted before any is made.
 */
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { OrchyError } from "../../base/errors.ts";
import { holdsMoreParts } from "../../base/json-shape.ts";
import { limits } from "../../base/limits.ts";
import { recursionLimit } from "./recursion-limit.ts";

/** An item of a list takes two bytes at least, so shorter requests are not looked at. */
const bytesMin = 2 * limits.rpcItemsMax;

/** Throws OrchyError: TOO_LARGE or INVALID_ARGUMENT. What is malformed is left to the decoder. */
export function checkBinaryParts(schema: DescMessage, bytes: Uint8Array): void {
  if (bytes.length <= bytesMin) return;
  try {
    new Count(bytes).request(schema);
  } catch (error) {
    if (error instanceof OrchyError) throw error;
  }
}

export function checkTextParts(text: string): void {
  if (holdsMoreParts(text, limits.rpcPartsMax)) throw tooMany();
}

/** `json`: what was parsed, before it becomes a message. */
export function checkListedItems(schema: DescMessage, json: unknown): void {
  if (typeof json !== "object" || json === null) return;
  const members = json as Readonly<Record<string, unknown>>;
  for (const { fieldKind, jsonName, name } of schema.fields) {
    if (fieldKind !== "list") continue;
    for (const member of [jsonName, name]) {
      const list = members[member];
      if (Array.isArray(list) && list.length > limits.rpcItemsMax) throw tooLong(jsonName);
    }
  }
}

function tooMany(): OrchyError {
  const message =
    `The request has more than ${limits.rpcPartsMax} parts (values, and names of members). Send fewer ` +
    "results in a call, or outputs as outputJson, which is not taken apart.";
  return new OrchyError("TOO_LARGE", message);
}

function tooLong(name: string): OrchyError {
  const message = `has more than ${limits.rpcItemsMax} items`;
  return new OrchyError("INVALID_ARGUMENT", "The request is invalid.", [
    { pointer: `/${name}`, message },
  ]);
}

class Count {
  readonly #reader: BinaryReader;
  #parts = 0;

  constructor(bytes: Uint8Array) {
    this.#reader = new BinaryReader(bytes);
  }

  request(schema: DescMessage): void {
    const items = new Map<DescField, number>();
    this.#message(schema, this.#reader.len, 0, (list) => {
      const count = (items.get(list) ?? 0) + 1;
      if (count > limits.rpcItemsMax) throw tooLong(list.jsonName);
      items.set(list, count);
    });
  }

  #message(
    schema: DescMessage,
    end: number,
    depth: number,
    onItem?: (list: DescField) => void,
  ): void {
    const fields = fieldsOf(schema);
    while (this.#reader.pos < end) {
      const [number, type] = this.#reader.tag();
      this.#parts += 1;
      if (this.#parts > limits.rpcPartsMax) throw tooMany();
      const field = fields.get(number);
      if (field?.fieldKind === "list") onItem?.(field);
      const isInside = type === WireType.LengthDelimited && depth < recursionLimit;
      if (!isInside || field?.message === undefined) this.#reader.skip(type, number);
      else if (field.fieldKind === "map") this.#entry(field.message, depth + 1);
      else this.#message(field.message, this.#endOfNext(), depth + 1);
    }
  }

  #entry(value: DescMessage, depth: number): void {
    const end = this.#endOfNext();
    while (this.#reader.pos < end) {
      const [number, type] = this.#reader.tag();
      this.#parts += 1;
      const isValue = number === 2 && type === WireType.LengthDelimited;
      if (isValue) this.#message(value, this.#endOfNext(), depth);
      else this.#reader.skip(type, number);
    }
  }

  #endOfNext(): number {
    const length = this.#reader.uint32();
    return this.#reader.pos + length;
  }
}

const known = new WeakMap<DescMessage, ReadonlyMap<number, DescField>>();

function fieldsOf(schema: DescMessage): ReadonlyMap<number, DescField> {
  let fields = known.get(schema);
  if (fields === undefined) {
    fields = new Map(schema.fields.map((field) => [field.number, field]));
    known.set(schema, fields);
  }
  return fields;
}
