/**
 * Commands as Redis reads them, written in one piece: the client's own way asks for the length of
 * every argument first and joins many small pieces, which cost more than the rest of a call.
 */
import { Bytes, bytesAtMost } from "./bytes.ts";

export type Argument = string | number | Buffer;

/** Arguments as they go out. */
export interface Written {
  readonly count: number;
  readonly bytes: Buffer;
}

/** Of an argument: its mark, the digits of its length and two ends of lines. */
const frameBytes = 32;
/** Shorter text is written unit by unit. */
const shortChars = 24;
/** Digits that a length has for which room is kept. */
const usualDigits = 3;
const [carriageReturn, lineFeed, zero, dollar] = [13, 10, 48, 36];

function digitsOf(number: number): number {
  let digits = 1;
  for (let left = number; left >= 10; left = Math.trunc(left / 10)) digits++;
  return digits;
}

/** Returns where it ends. */
function writeLineEnd(chunk: Buffer, at: number): number {
  chunk[at] = carriageReturn;
  chunk[at + 1] = lineFeed;
  return at + 2;
}

function writeLength(chunk: Buffer, at: number, length: number, digits: number): void {
  chunk[at] = dollar;
  for (let left = length, place = at + digits; place > at; place--) {
    chunk[place] = zero + (left % 10);
    left = Math.trunc(left / 10);
  }
  writeLineEnd(chunk, at + 1 + digits);
}

/** Writes short text when all of it is ASCII: returns whether it was. */
function writeShort(chunk: Buffer, text: string, at: number): boolean {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 127) return false;
    chunk[at + i] = unit;
  }
  return true;
}

/** Writes arguments one after the other. */
export class ArgumentWriter {
  /** For what becomes part of an argument: between begin and end. */
  readonly out = new Bytes();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  get size(): number {
    return this.out.length;
  }

  /** Nearly all text is ASCII, so that its bytes are as many as its units; else it is moved. */
  text(text: string): void {
    const { out } = this;
    out.reserve(bytesAtMost(text) + frameBytes);
    const { chunk, used } = out;
    const content = used + 3 + digitsOf(text.length);
    const isShort = text.length <= shortChars && writeShort(chunk, text, content);
    const bytes = isShort ? text.length : chunk.write(text, content);
    this.#frame(content, bytes);
  }

  bytes(bytes: Buffer): void {
    const at = this.begin();
    this.out.bytes(bytes);
    this.end(at);
  }

  /** The argument is what is written to `out` from here to the end. */
  begin(): number {
    const { out } = this;
    out.reserve(frameBytes);
    const at = out.length;
    out.used += 3 + usualDigits;
    return at;
  }

  end(at: number): void {
    const { out } = this;
    out.reserve(frameBytes);
    const begin = out.start + at;
    const content = begin + 3 + usualDigits;
    const bytes = out.used - content;
    out.used = begin;
    this.#frame(content, bytes);
  }

  /** Around what was written where a length of as many digits as was guessed leads to. */
  #frame(content: number, bytes: number): void {
    const { chunk, used } = this.out;
    const digits = digitsOf(bytes);
    const begin = used + 3 + digits;
    if (begin !== content) chunk.copyWithin(begin, content, content + bytes);
    writeLength(chunk, used, bytes, digits);
    this.out.used = writeLineEnd(chunk, begin + bytes);
    this.#count += 1;
  }

  /** What was written since the last time. */
  take(): Written {
    const written = { count: this.#count, bytes: this.out.take() };
    this.#count = 0;
    return written;
  }
}

const writer = new ArgumentWriter();

export function encodeCommand(
  name: string,
  args: readonly Argument[],
  written: readonly Written[] = [],
): Buffer {
  let count = args.length + 1;
  for (const part of written) count += part.count;
  writer.out.text(`*${count}\r\n`);
  writer.text(name);
  for (const argument of args) {
    if (argument instanceof Buffer) writer.bytes(argument);
    else writer.text(typeof argument === "string" ? argument : `${argument}`);
  }
  for (const part of written) writer.out.bytes(part.bytes);
  return writer.take().bytes;
}
