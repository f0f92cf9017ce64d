/**
 * Commands as Redis reads them, written in one piece: the client's own way asks for the length of
 * every argument first and joins many small pieces, which cost more than the rest of a call.
 */
import { Bytes, bytesAtMost } from "./bytes.ts";

export type Argument = string | number | Buffer;

/** Of an argument: its mark, the digits of its length and two ends of lines. */
const frameBytes = 32;
/** Shorter text is written unit by unit. */
const shortChars = 24;
const [carriageReturn, lineFeed, zero, dollar] = [13, 10, 48, 36];

const out = new Bytes();

function digitsOf(number: number): number {
  let digits = 1;
  for (let left = number; left >= 10; left = Math.trunc(left / 10)) digits++;
  return digits;
}

/** Answers where it ends. */
function writeLineEnd(at: number): number {
  out.chunk[at] = carriageReturn;
  out.chunk[at + 1] = lineFeed;
  return at + 2;
}

/** Answers where that begins which is so long. */
function writeLength(length: number, digits: number): number {
  const { chunk, used } = out;
  chunk[used] = dollar;
  for (let left = length, at = used + digits; at > used; at--) {
    chunk[at] = zero + (left % 10);
    left = Math.trunc(left / 10);
  }
  return writeLineEnd(used + 1 + digits);
}

/** Text of few units, when all of them are ASCII: answers whether it was. */
function writeShort(text: string, at: number): boolean {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 127) return false;
    out.chunk[at + i] = unit;
  }
  return true;
}

/** Nearly all text is ASCII, so that its bytes are as many as its units; else it is moved. */
function writeText(text: string): void {
  out.reserve(bytesAtMost(text) + frameBytes);
  const guessed = digitsOf(text.length);
  const begin = out.used + 3 + guessed;
  const isShort = text.length <= shortChars && writeShort(text, begin);
  const bytes = isShort ? text.length : out.chunk.write(text, begin);
  const digits = digitsOf(bytes);
  if (digits !== guessed) out.chunk.copyWithin(begin + digits - guessed, begin, begin + bytes);
  out.used = writeLineEnd(writeLength(bytes, digits) + bytes);
}

function writeBytes(bytes: Buffer): void {
  out.reserve(bytes.length + frameBytes);
  out.used = writeLength(bytes.length, digitsOf(bytes.length));
  out.bytes(bytes);
  out.used = writeLineEnd(out.used);
}

export function encodeCommand(name: string, args: readonly Argument[]): Buffer {
  out.text(`*${args.length + 1}\r\n`);
  writeText(name);
  for (const argument of args) {
    if (argument instanceof Buffer) writeBytes(argument);
    else writeText(typeof argument === "string" ? argument : `${argument}`);
  }
  return out.take();
}
