/**
 * The arguments of scripts as MessagePack, which scripts unpack in one call: a Redis argument each
 * would cost its server more than the rest of a commit. Only what scripts need: text, numbers,
 * false, arrays, and what was packed before, as text.
 */

export type Packable = string | number | false | Buffer | readonly Packable[];

const mark = { false: 0xc2, double: 0xcb, shortText: 0xd9, text: 0xdb, array: 0xdd } as const;
const headBytes = 9;
const scratchBytes = 64 * 1024;
const keptBytes = 1024 * 1024;

let scratch = Buffer.allocUnsafe(scratchBytes);
let used = 0;

function reserve(bytes: number): void {
  if (used + bytes <= scratch.length) return;
  const larger = Buffer.allocUnsafe(Math.max(scratch.length * 2, used + bytes));
  scratch.copy(larger, 0, 0, used);
  scratch = larger;
}

/** No UTF-16 unit takes more than three bytes of UTF-8, so the width of the length is known. */
function writeText(text: string): void {
  if (text.length <= 85) {
    reserve(2 + text.length * 3);
    const bytes = scratch.write(text, used + 2);
    scratch[used] = mark.shortText;
    scratch[used + 1] = bytes;
    used += 2 + bytes;
    return;
  }
  reserve(5 + text.length * 3);
  const bytes = scratch.write(text, used + 5);
  scratch[used] = mark.text;
  scratch.writeUInt32BE(bytes, used + 1);
  used += 5 + bytes;
}

function writeBytes(bytes: Buffer): void {
  reserve(5 + bytes.length);
  scratch[used] = mark.text;
  scratch.writeUInt32BE(bytes.length, used + 1);
  bytes.copy(scratch, used + 5);
  used += 5 + bytes.length;
}

function writeNumber(value: number): void {
  reserve(headBytes);
  if (Number.isInteger(value) && value >= 0 && value < 128) {
    scratch[used++] = value;
    return;
  }
  scratch[used] = mark.double;
  scratch.writeDoubleBE(value, used + 1);
  used += 9;
}

function write(value: Packable): void {
  if (typeof value === "string") writeText(value);
  else if (typeof value === "number") writeNumber(value);
  else if (value === false) {
    reserve(1);
    scratch[used++] = mark.false;
  } else if (value instanceof Buffer) writeBytes(value);
  else {
    reserve(headBytes);
    scratch[used] = mark.array;
    scratch.writeUInt32BE((value as readonly Packable[]).length, used + 1);
    used += 5;
    for (const item of value as readonly Packable[]) write(item);
  }
}

function writeRaw(text: string): void {
  reserve(text.length * 3);
  used += scratch.write(text, used);
}

/**
 * One value after the other: unpacked, they become values, and no table is made. What is around them
 * is text as it is.
 */
export function packAll(
  values: readonly Packable[],
  around: { readonly before?: string; readonly after?: string } = {},
): Buffer {
  used = 0;
  if (around.before !== undefined) writeRaw(around.before);
  for (const value of values) write(value);
  if (around.after !== undefined) writeRaw(around.after);
  const packed = Buffer.from(scratch.subarray(0, used));
  // Scratch space that one huge request needed is not kept for ever.
  if (scratch.length > keptBytes) scratch = Buffer.allocUnsafe(scratchBytes);
  return packed;
}

export function pack(value: Packable): Buffer {
  return packAll([value]);
}
