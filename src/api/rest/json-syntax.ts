/** Where and why a text is not JSON, which JSON.parse of this runtime does not say. */
import {
  closeBrace,
  closeBracket,
  colon,
  comma,
  openBrace,
  openBracket,
  quote,
} from "../../base/json-characters.ts";
import { isSpace } from "../../language/data/json-text.ts";

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
