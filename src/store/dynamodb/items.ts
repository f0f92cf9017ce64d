/**
 * What is in the table, as DynamoDB writes it down. One table, with the keys `pk` and `sk`:
 *
 *     pk                          sk            what
 *     <ns>/x/<partition>/<id>     h             head of an execution
 *                                 r<name>       its rows
 *                                 s<name>       its parts
 *     <ns>/w/<partition>/<shelf>  <at><id>      hints of work
 *     <ns>/l/<partition>/<shelf>  <at><id>      hints of lists
 *     <ns>/d/<kind>               =<id>         documents
 *     <ns>/c/<kind>/<id>          <cut>/<n>     pieces of a large document
 *     <ns>/n                      s/<id>        live servers
 *                                 settings      what the namespace is
 *
 * Items that expire hold `expires`, in seconds.
 */
import type { ExecutionKey } from "../../model/ids.ts";
import type { Place, Shelf } from "../records/driver.ts";

export type Value =
  | { readonly S: string }
  | { readonly N: string }
  /** Base64. */
  | { readonly B: string }
  | { readonly BOOL: boolean };

export type Item = Readonly<Record<string, Value>>;

export interface ItemKey {
  readonly pk: { readonly S: string };
  readonly sk: { readonly S: string };
}

export const expiryName = "expires";
export const headName = "h";
export const rowPrefix = "r";
export const partPrefix = "s";

/** Shorter texts are below one unit of capacity as they are. */
const compressedCharsMin = 800;
/** Higher ones take longer, and make what is stored here no smaller. */
const compression = { level: 1 };

export class Keys {
  readonly #namespace: string;

  constructor(namespace: string) {
    this.#namespace = namespace;
  }

  execution({ partition, id }: ExecutionKey): string {
    return `${this.#namespace}/x/${partition}/${id}`;
  }

  shelf({ partition, kind, name }: Shelf): string {
    return `${this.#namespace}/${kind === "work" ? "w" : "l"}/${partition}/${name}`;
  }

  documents(kind: string): string {
    return `${this.#namespace}/d/${kind}`;
  }

  /** Kinds of documents, also of those that there were. */
  get kinds(): string {
    return `${this.#namespace}/k`;
  }

  pieces(kind: string, id: string): string {
    return `${this.#namespace}/c/${kind}/${id}`;
  }

  get node(): string {
    return `${this.#namespace}/n`;
  }
}

export function itemKey(pk: string, sk: string): ItemKey {
  return { pk: { S: pk }, sk: { S: sk } };
}

const momentDigits = 15;

/** The order of these texts is that of places. */
export function placeText({ at, id }: Place): string {
  return momentText(at) + id;
}

export function momentText(at: number): string {
  return String(at).padStart(momentDigits, "0");
}

export function placeOf(text: string): Place {
  return { at: Number(text.slice(0, momentDigits)), id: text.slice(momentDigits) };
}

export function number(value: number): { N: string } {
  return { N: `${value}` };
}

export function bytes(value: Uint8Array): { B: string } {
  return { B: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64") };
}

/** Compressed where that makes it smaller: a write costs by what is stored. */
export function textValue(text: string): Value {
  if (text.length < compressedCharsMin) return { S: text };
  const compressed = Bun.zstdCompressSync(text, compression);
  return compressed.byteLength < text.length ? bytes(compressed) : { S: text };
}

export function textOf(value: Value | undefined): string {
  if (value === undefined) return "";
  if ("B" in value) return decompressed(Buffer.from(value.B, "base64"));
  return "S" in value ? value.S : "";
}

export function decompressed(compressed: Uint8Array): string {
  const text = Bun.zstdDecompressSync(compressed);
  return Buffer.from(text.buffer, text.byteOffset, text.byteLength).toString();
}

export function textIn(item: Item, name: string): string {
  const value = item[name];
  return value !== undefined && "S" in value ? value.S : "";
}

export function numberIn(item: Item, name: string): number {
  const value = item[name];
  return value !== undefined && "N" in value ? Number(value.N) : 0;
}

export function bytesIn(item: Item, name: string): Uint8Array {
  const value = item[name];
  return Buffer.from(value !== undefined && "B" in value ? value.B : "", "base64");
}

/** Of a write: the item has this version; null: there is none. */
export function conditionOf(expected: number | null) {
  if (expected === null) return { ConditionExpression: "attribute_not_exists(pk)" };
  const values = { ":v": number(expected) };
  return { ConditionExpression: "v = :v", ExpressionAttributeValues: values };
}

/** Whole seconds, not before the moment. */
export function expiryAt(ms: number): { N: string } {
  return number(Math.ceil(ms / 1000));
}
