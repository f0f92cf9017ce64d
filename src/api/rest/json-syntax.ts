/**
 * Where and why a text is not JSON, which JSON.parse of this runtime does not say, and how deeply a
 * text is nested, which must be known before a parser is let loose on it.
 */

import { isSpace } from "../../language/data/json-text.ts";

/** Whether brackets nest deeper than `depthMax`. The text need not be valid JSON. */
export function isTooDeep(text: string, depthMax: number): boolean {
  // Most texts do not hold so many brackets at all, which is seen at the speed of memory.
  if (!holdsMore(text, "{", depthMax / 2) && !holdsMore(text, "[", depthMax / 2)) return false;
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === quote) {
      i = endOfString(text, i);
    } else if (unit === openBracket || unit === openBrace) {
      depth++;
      if (depth > depthMax) return true;
    } else if (unit === closeBracket || unit === closeBrace) {
      depth--;
    }
  }
  return false;
}

/**
 * Whether a text has more than so many values and names of members, which a parser would make: names
 * count twice, as they cost as much. The text need not be valid JSON.
 */
export function holdsMoreParts(text: string, partsMax: number): boolean {
  // Each takes a character at least.
  if (text.length <= partsMax) return false;
  let parts = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === quote) i = endOfString(text, i);
    else if (unit === comma || unit === openBracket || unit === openBrace) parts += 1;
    else if (unit === colon) parts += 2;
    if (parts > partsMax) return true;
  }
  return false;
}

const quote = 0x22;
const comma = 0x2c;
const colon = 0x3a;
const backslash = 0x5c;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

function holdsMore(text: string, character: string, most: number): boolean {
  let at = -1;
  for (let count = 0; count <= most; count++) {
    at = text.indexOf(character, at + 1);
    if (at < 0) return false;
  }
  return true;
}

/** Position of the closing quote, or the text's length. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let first = end;
    while (first - 1 > start && text.charCodeAt(first - 1) === backslash) first -= 1;
    // An odd number of backslashes before it makes the quote part of the string.
    if ((end - first) % 2 === 0) return end;
  }
  return text.length;
}

export interface SyntaxProblem {
  /** From 0, in UTF-16 units. */
  readonly offset: number;
  /** From 1. */
  readonly line: number;
  readonly column: number;
  /** What should have been there. */
  readonly expected: string;
}

/** Undefined when the text is valid JSON. */
export function findSyntaxProblem(text: string): SyntaxProblem | undefined {
  const scanner = new Scanner(text);
  if (scanner.scan()) return undefined;
  const before = text.slice(0, scanner.offset);
  return {
    offset: scanner.offset,
    line: before.split("\n").length,
    column: scanner.offset - before.lastIndexOf("\n"),
    expected: scanner.expected,
  };
}

const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const literal = /true|false|null/y;
/** Anything but quotes, backslashes and control characters. */
const plain = /[ !#-[\]-\uffff]*/y;
const escaped = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

/** A scanner without recursion; it stops at the first thing that JSON does not allow. */
class Scanner {
  readonly #text: string;
  offset = 0;
  expected = "";

  constructor(text: string) {
    this.#text = text;
  }

  scan(): boolean {
    /** Closing characters of what is open. */
    const open: number[] = [];
    for (;;) {
      // A value begins here.
      this.#skipBlanks();
      if (this.#takeOne(openBrace)) {
        open.push(closeBrace);
        this.#skipBlanks();
        if (!this.#takeOne(closeBrace)) {
          if (!this.#memberName('a member name in double quotes or "}"')) return false;
          continue;
        }
        open.pop();
      } else if (this.#takeOne(openBracket)) {
        open.push(closeBracket);
        this.#skipBlanks();
        if (!this.#takeOne(closeBracket)) continue;
        open.pop();
      } else if (!this.#scalar()) {
        return false;
      }
      // A value has ended here.
      for (;;) {
        this.#skipBlanks();
        const close = open.at(-1);
        if (close === undefined) {
          return this.offset === this.#text.length || this.#fail("the end of the text");
        }
        if (this.#takeOne(close)) {
          open.pop();
          continue;
        }
        if (!this.#takeOne(comma)) return this.#fail(`"," or "${String.fromCharCode(close)}"`);
        if (close === closeBrace && !this.#memberName("a member name in double quotes"))
          return false;
        break;
      }
    }
  }

  #memberName(expected: string): boolean {
    this.#skipBlanks();
    if (this.#text.charCodeAt(this.offset) !== quote) return this.#fail(expected);
    if (!this.#string()) return false;
    this.#skipBlanks();
    return this.#takeOne(colon) || this.#fail('":"');
  }

  #scalar(): boolean {
    if (this.#text.charCodeAt(this.offset) === quote) return this.#string();
    return this.#take(number) || this.#take(literal) || this.#fail("a JSON value");
  }

  #string(): boolean {
    this.offset++;
    for (;;) {
      this.#take(plain);
      if (this.#takeOne(quote)) return true;
      if (!this.#take(escaped)) {
        const at = this.#text[this.offset];
        if (at === undefined) return this.#fail("a closing double quote");
        return this.#fail(at === "\\" ? "a valid escape" : "an escape for a control character");
      }
    }
  }

  /** Whether something was taken; for a pattern that can be empty, that does not matter. */
  #take(pattern: RegExp): boolean {
    pattern.lastIndex = this.offset;
    if (!pattern.test(this.#text)) return false;
    this.offset = pattern.lastIndex;
    return true;
  }

  #takeOne(expected: number): boolean {
    if (this.#text.charCodeAt(this.offset) !== expected) return false;
    this.offset++;
    return true;
  }

  #skipBlanks(): void {
    while (isSpace(this.#text.charCodeAt(this.offset))) this.offset++;
  }

  #fail(expected: string): false {
    this.expected = expected;
    return false;
  }
}
