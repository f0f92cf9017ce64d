/**
 * Commands as Redis reads them, written in one piece: the client's own way asks for the length of
 * every argument first and joins many small pieces, which cost more than the rest of a call.
 */

export type Argument = string | number | Buffer;

const scratchBytes = 64 * 1024;
const keptBytes = 2 * 1024 * 1024;
/** Of an argument: its mark, the digits of its length and two ends of lines. */
const frameBytes = 32;
/** Shorter text is written unit by unit. */
const shortChars = 24;
const [carriageReturn, lineFeed, firstDigit, dollar] = [13, 10, 48, 36];

let scratch = Buffer.allocUnsafe(scratchBytes);
let used = 0;

function reserve(bytes: number): void {
  if (used + bytes <= scratch.length) return;
  const larger = Buffer.allocUnsafe(Math.max(scratch.length * 2, used + bytes));
  scratch.copy(larger, 0, 0, used);
  scratch = larger;
}

function digitsOf(number: number): number {
  let digits = 1;
  for (let left = number; left >= 10; left = Math.trunc(left / 10)) digits++;
  return digits;
}

function writeLineEnd(at: number): number {
  scratch[at] = carriageReturn;
  scratch[at + 1] = lineFeed;
  return at + 2;
}

/** Answers where what is announced begins. */
function writeLength(at: number, mark: number, length: number, digits: number): number {
  scratch[at] = mark;
  for (let left = length, place = at + digits; place > at; place--) {
    scratch[place] = firstDigit + (left % 10);
    left = Math.trunc(left / 10);
  }
  return writeLineEnd(at + 1 + digits);
}

/** Text of few units, when all of them are ASCII: answers whether it was. */
function writeShort(text: string, at: number): boolean {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 127) return false;
    scratch[at + i] = unit;
  }
  return true;
}

/** Nearly all text is ASCII, so that its bytes are as many as its units; else it is moved. */
function writeText(text: string): void {
  reserve(text.length * 3 + frameBytes);
  const guessed = digitsOf(text.length);
  const begin = used + 3 + guessed;
  const isShort = text.length <= shortChars && writeShort(text, begin);
  const bytes = isShort ? text.length : scratch.write(text, begin);
  const digits = digitsOf(bytes);
  if (digits !== guessed) {
    scratch.copyWithin(begin + digits - guessed, begin, begin + bytes);
  }
  used = writeLineEnd(writeLength(used, dollar, bytes, digits) + bytes);
}

function writeBytes(bytes: Buffer): void {
  reserve(bytes.length + frameBytes);
  const begin = writeLength(used, dollar, bytes.length, digitsOf(bytes.length));
  bytes.copy(scratch, begin);
  used = writeLineEnd(begin + bytes.length);
}

export function encodeCommand(name: string, args: readonly Argument[]): Buffer {
  used = 0;
  used += scratch.write(`*${args.length + 1}\r\n`);
  writeText(name);
  for (const argument of args) {
    if (argument instanceof Buffer) writeBytes(argument);
    else writeText(typeof argument === "string" ? argument : `${argument}`);
  }
  const encoded = Buffer.from(scratch.subarray(0, used));
  // Scratch space that one huge command needed is not kept for ever.
  if (scratch.length > keptBytes) scratch = Buffer.allocUnsafe(scratchBytes);
  return encoded;
}
