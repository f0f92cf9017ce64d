/**
 * Whether workers that take parameters as `google.protobuf.Struct` can be given them: many clients
 * decode 100 nested messages and no more, and gRPC clients accept 4 MiB by default. The size is
 * computed from the text, without making the messages.
 */

import {
  backslash,
  closeBrace,
  closeBracket,
  colon,
  comma,
  openBrace,
  openBracket,
  quote,
} from "../../base/json-characters.ts";
import { isTooDeep } from "../../base/json-shape.ts";
import { limits } from "../../base/limits.ts";
import type { JsonText } from "../../model/json.ts";
import { isSpace, skipScalar } from "./json-text.ts";

type StructFault = "too-deep" | "too-large";

interface TaskTexts {
  readonly header: JsonText;
  readonly parameters: JsonText;
}

/** `[1,1,…]`, the worst case, takes five and a half times its text as protobuf. */
const structBytesPerUnit = 6;
/** The longest character of UTF-8 that is one unit of a string. */
const headerBytesPerUnit = 3;
/** Everything that is neither in the header nor a parameter: token, ids and numbers are bounded. */
const otherBytes = 1024;

/** Undefined: a task with these texts fits an answer alone. */
export function structFault(task: TaskTexts): StructFault | undefined {
  const { header, parameters } = task;
  if (isTooDeep(parameters, limits.structDepthMax)) return "too-deep";
  if (mostTaskBytes(task) <= limits.pollResponseBytesMax) return undefined;
  const bytes = otherBytes + headerBytesPerUnit * header.length + structBytes(parameters);
  return bytes > limits.pollResponseBytesMax ? "too-large" : undefined;
}

/** Upper bound of what a task takes of a binary answer, in either form; no text is read for it. */
export function mostTaskBytes({ header, parameters }: TaskTexts): number {
  return otherBytes + headerBytesPerUnit * header.length + structBytesPerUnit * parameters.length;
}

/** Bytes of a Struct that holds this valid JSON object. A repeated key counts each time. */
export function structBytes(text: JsonText): number {
  return new Reading(text).bytes();
}

const numberBytes = 9;
const literalBytes = 2;
/** In place of the bytes of a key: a list has none, and that of an object's next member is to come. */
const noKey = -1;
const nextKey = -2;

class Reading {
  readonly #text: JsonText;
  #at = 0;
  /** Of the lists and objects that are open: the bytes of their contents, and of the last key. */
  readonly #contents: number[] = [];
  readonly #keys: number[] = [];

  constructor(text: JsonText) {
    this.#text = text;
  }

  bytes(): number {
    const text = this.#text;
    while (this.#at < text.length) {
      const unit = text.charCodeAt(this.#at);
      if (unit === quote) this.#string();
      else if (unit === openBrace || unit === openBracket) {
        this.#contents.push(0);
        this.#keys.push(unit === openBracket ? noKey : nextKey);
        this.#at++;
      } else if (unit === closeBrace || unit === closeBracket) {
        const contents = this.#contents.pop()!;
        this.#keys.pop();
        this.#at++;
        if (this.#keys.length === 0) return contents;
        this.#add(framed(contents));
      } else if (unit === comma || unit === colon || isSpace(unit)) this.#at++;
      else {
        this.#at = skipScalar(text, this.#at);
        this.#add(isLiteral(unit) ? literalBytes : numberBytes);
      }
    }
    return 0;
  }

  /** A value of the innermost list or object. */
  #add(bytes: number): void {
    const top = this.#keys.length - 1;
    const key = this.#keys[top]!;
    const value = framed(bytes);
    if (key !== noKey) this.#keys[top] = nextKey;
    this.#contents[top]! += key === noKey ? value : framed(framed(key) + value);
  }

  #string(): void {
    const bytes = this.#stringBytes();
    const top = this.#keys.length - 1;
    if (this.#keys[top] === nextKey) this.#keys[top] = bytes;
    else this.#add(framed(bytes));
  }

  #stringBytes(): number {
    const text = this.#text;
    let bytes = 0;
    for (let at = this.#at + 1; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      if (unit === quote) {
        this.#at = at + 1;
        return bytes;
      }
      if (unit !== backslash) bytes += utf8Bytes(unit);
      else if (text.charCodeAt(++at) !== letterU) bytes += 1;
      else {
        bytes += utf8Bytes(Number.parseInt(text.slice(at + 1, at + 5), 16));
        at += 4;
      }
    }
    this.#at = text.length;
    return bytes;
  }
}

const letterU = 0x75;
const letterA = 0x61;

/** Of true, false and null the first letter; numbers begin with none. */
function isLiteral(first: number): boolean {
  return first >= letterA;
}

/** A surrogate is one half of four bytes. */
function utf8Bytes(unit: number): number {
  if (unit < 0x80) return 1;
  return unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 2 : 3;
}

/** With its tag and its length before it. */
function framed(bytes: number): number {
  let length = 1;
  for (let rest = bytes; rest >= 0x80; rest = Math.floor(rest / 0x80)) length++;
  return 1 + length + bytes;
}
