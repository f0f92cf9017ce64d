/**
 * The arguments of scripts as MessagePack, which scripts unpack in one call: a Redis argument each
 * would cost its server more than the rest of a commit. Only what scripts need: text, numbers,
 * false, arrays, and what was packed before, as text.
 */
import { Bytes, bytesAtMost } from "./bytes.ts";

export type Packable = string | number | false | Buffer | readonly Packable[];

const mark = { false: 0xc2, double: 0xcb, shortText: 0xd9, text: 0xdb, array: 0xdd } as const;
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
  else if (value === false) {
    out.reserve(headBytes);
    out.chunk[out.used++] = mark.false;
  } else if (value instanceof Buffer) {
    writeHead(out, mark.text, value.length);
    out.bytes(value);
  } else {
    writeHead(out, mark.array, (value as readonly Packable[]).length);
    for (const item of value as readonly Packable[]) write(out, item);
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
