/** The text of a path while it is parsed: where the parser stands, and what it takes from there. */
import { limits } from "../../base/limits.ts";

export class ReferenceSyntaxError extends Error {
  override readonly name = "ReferenceSyntaxError";
}

const integerAt = /-?(?:0|[1-9]\d{0,14})(?!\d)/y;
const escapeAt = /\\(?:["'\\/bfnrt]|u[0-9A-Fa-f]{4})/y;

export class PathText {
  readonly #text: string;
  #at = 0;
  /** Filters and parentheses that are open. */
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get at(): number {
    return this.#at;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  /** Whether the parser is in a filter. */
  get isNested(): boolean {
    return this.#depth > 0;
  }

  from(start: number): string {
    return this.#text.slice(start, this.#at);
  }

  peek(): string | undefined {
    return this.#text[this.#at];
  }

  take(word: string): boolean {
    if (!this.#text.startsWith(word, this.#at)) return false;
    this.#at += word.length;
    return true;
  }

  match(sticky: RegExp): string | undefined {
    const found = this.find(sticky);
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  /** What `match` would take. */
  find(sticky: RegExp): string | undefined {
    sticky.lastIndex = this.#at;
    return sticky.exec(this.#text)?.[0];
  }

  /** In filters all of JSON's white space, as in RFC 9535; elsewhere only spaces. */
  skipSpace(): void {
    const blanks = this.isNested ? " \t\n\r" : " ";
    while (!this.isAtEnd && blanks.includes(this.peek()!)) this.#at++;
  }

  /** Reads what is in a filter, or in parentheses. */
  nested<T>(read: () => T): T {
    this.#depth++;
    if (this.#depth > limits.filterDepthMax) {
      this.fail(`filters and parentheses are nested deeper than ${limits.filterDepthMax} levels`);
    }
    const found = read();
    this.#depth--;
    return found;
  }

  integer(): number | undefined {
    const digits = this.match(integerAt);
    return digits === undefined ? undefined : Number(digits);
  }

  /** Undefined when no quoted text begins here. */
  quoted(): string | undefined {
    const mark = this.peek();
    if (mark !== "'" && mark !== '"') return undefined;
    const open = this.#at;
    this.#at++;
    let text = "";
    while (!this.take(mark)) {
      const next = this.peek();
      if (next === undefined) this.fail(`the quote at position ${open + 1} is not closed`);
      if (next === "\\") text += this.#escape();
      else {
        text += next;
        this.#at++;
      }
    }
    return text;
  }

  #escape(): string {
    const sequence = this.match(escapeAt);
    if (sequence === undefined) return this.unexpected("a valid escape such as \\' or \\\\");
    return sequence === "\\'" ? "'" : JSON.parse(`"${sequence}"`);
  }

  unexpected(wanted: string, hint = ""): never {
    const next = this.peek();
    if (next === "?") this.fail("a filter stands alone in brackets: [?@.price > 10]");
    if (next === "(") this.fail("scripts and functions are not allowed");
    if (next === "^" || next === "~") this.fail(`the operator ${next} is not allowed`);
    if (next === "@") this.fail("type operators are not allowed; a key with @ must be quoted");
    const found = next === undefined ? "the end" : JSON.stringify(next);
    this.fail(
      `at position ${this.#at + 1} stands ${found} instead of ${wanted}${next === undefined ? "" : hint}`,
    );
  }

  fail(reason: string): never {
    throw new ReferenceSyntaxError(`${JSON.stringify(this.#text)} is not a reference: ${reason}.`);
  }
}
