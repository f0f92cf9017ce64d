/**
 * The arguments of scripts as MessagePack, which scripts unpack in one call: a Redis argument each
 * would cost its server more than the rest of a commit. Only what scripts need: text, numbers,
 * booleans, arrays, maps by name, and what was packed before, as text.
 */
import { Bytes, bytesAtMost } from "./bytes.ts";

export type Packable = string | number | boolean | Buffer | readonly Packable[] | PackableMap;

/** What is undefined is left out. */
export interface PackableMap {
  readonly [name: string]: Packable | undefined;
}

const mark = {
  false: 0xc2,
  true: 0xc3,
  double: 0xcb,
  shortText: 0xd9,
  text: 0xdb,
  array: 0xdd,
  map: 0xdf,
} as const;
const headBytes = 9;

/** No UTF-16 unit takes more than three bytes of UTF-8: the length of 85 of them fits one byte. */
function writeText(out: Bytes, text: string): void {
  const head = text.length <= 85 ? 2 : 5;
  out.reserve(head + bytesAtMost(text));
  const { chunk, used } = out;
  const bytes = chunk.write(text, used + head);
  if (head === 2) {
    chunk[used] = mark.shortText;
    chunk[used + 1] = bytes;
  } else {
    chunk[used] = mark.text;
    chunk.writeUInt32BE(bytes, used + 1);
  }
  out.used = used + head + bytes;
}

/** A mark and a number of items or bytes. */
function writeHead(out: Bytes, type: number, length: number): void {
  out.reserve(headBytes);
  out.chunk[out.used] = type;
  out.chunk.writeUInt32BE(length, out.used + 1);
  out.used += 5;
}

function writeNumber(out: Bytes, value: number): void {
  if (!Number.isFinite(value)) throw new RangeError(`${value} is no number that is stored`);
  out.reserve(headBytes);
  if (Number.isInteger(value) && value >= 0 && value < 128) {
    out.chunk[out.used++] = value;
    return;
  }
  out.chunk[out.used] = mark.double;
  out.chunk.writeDoubleBE(value, out.used + 1);
  out.used += 9;
}

function write(out: Bytes, value: Packable): void {
  if (typeof value === "string") writeText(out, value);
  else if (typeof value === "number") writeNumber(out, value);
  else if (typeof value === "boolean") {
    out.reserve(headBytes);
    out.chunk[out.used++] = value ? mark.true : mark.false;
  } else if (value instanceof Buffer) {
    writeHead(out, mark.text, value.length);
    out.bytes(value);
  } else if (isList(value)) {
    writeHead(out, mark.array, value.length);
    for (const item of value) write(out, item);
  } else writeMap(out, value as PackableMap);
}

function isList(value: object): value is readonly Packable[] {
  return Array.isArray(value);
}

function writeMap(out: Bytes, map: PackableMap): void {
  const entries = Object.entries(map).filter(([, value]) => value !== undefined);
  writeHead(out, mark.map, entries.length);
  for (const [name, value] of entries) {
    writeText(out, name);
    write(out, value as Packable);
  }
}

/** One value after the other: unpacked, they become values, and no table is made. */
export function packInto(out: Bytes, values: readonly Packable[]): void {
  for (const value of values) write(out, value);
}

const scratch = new Bytes();

/** What is written, by itself. Nothing of it is left when it cannot be written. */
export function written(write: (out: Bytes) => void): Buffer {
  scratch.restart();
  write(scratch);
  return scratch.take();
}

export function pack(value: Packable): Buffer {
  return written((out) => write(out, value));
}
