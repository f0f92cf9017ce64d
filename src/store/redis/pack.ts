/**
 * The arguments of scripts as MessagePack, which scripts unpack in one call: a Redis argument each
 * would cost its server more than the rest of a commit. Only what scripts need: text, numbers,
 * false, and arrays; the widths are fixed, so that each value is written in one go.
 */

export type Packable = string | number | false | readonly Packable[];

const mark = { false: 0xc2, double: 0xcb, text: 0xdb, array: 0xdd } as const;
const headBytes = 9;

let scratch = Buffer.allocUnsafe(64 * 1024);
let used = 0;

function reserve(bytes: number): void {
  if (used + bytes <= scratch.length) return;
  const larger = Buffer.allocUnsafe(Math.max(scratch.length * 2, used + bytes));
  scratch.copy(larger, 0, 0, used);
  scratch = larger;
}

function writeText(text: string): void {
  // No UTF-16 unit takes more than three bytes of UTF-8.
  reserve(headBytes + text.length * 3);
  const bytes = scratch.write(text, used + 5);
  scratch[used] = mark.text;
  scratch.writeUInt32BE(bytes, used + 1);
  used += 5 + bytes;
}

function write(value: Packable): void {
  reserve(headBytes);
  if (typeof value === "string") {
    writeText(value);
  } else if (value === false) {
    scratch[used++] = mark.false;
  } else if (typeof value === "number") {
    scratch[used] = mark.double;
    scratch.writeDoubleBE(value, used + 1);
    used += 9;
  } else {
    scratch[used] = mark.array;
    scratch.writeUInt32BE(value.length, used + 1);
    used += 5;
    for (const item of value) write(item);
  }
}

/** Scratch space that one huge request needed is not kept for ever. */
const keptBytes = 1024 * 1024;

export function pack(value: Packable): Buffer {
  used = 0;
  write(value);
  const packed = Buffer.from(scratch.subarray(0, used));
  if (scratch.length > keptBytes) scratch = Buffer.allocUnsafe(64 * 1024);
  return packed;
}
