/**
 * JSONPath as the language has it: members, indexes, wildcards, slices, unions and one `..`; no
 * filters, scripts, parents or type operators. Paths are parsed at registration and evaluated over
 * JSON text, so that numbers stay exact and only own data can be reached.
 */
import { limits } from "../../base/limits.ts";

export type PathStep =
  | { readonly kind: "member"; readonly key: string | number }
  | { readonly kind: "wildcard" }
  | { readonly kind: "union"; readonly keys: readonly (string | number)[] }
  | { readonly kind: "slice"; readonly start?: number; readonly end?: number; readonly by: number }
  /** The value itself and all that is inside; another step always follows. */
  | { readonly kind: "descendants" };

export class ReferenceSyntaxError extends Error {
  override readonly name = "ReferenceSyntaxError";
}

/** Parses what follows `$`. Throws ReferenceSyntaxError with a sentence that says what is wrong. */
export function parsePath(text: string): readonly PathStep[] {
  if (text.length > limits.pathCharsMax) {
    throw new ReferenceSyntaxError(
      `The reference has ${text.length} characters; at most ${limits.pathCharsMax} are allowed.`,
    );
  }
  return new PathParser(text).parse();
}

const nameAt = /[A-Za-z0-9_\-\u0080-\uffff]+/y;
const integerAt = /-?(?:0|[1-9]\d{0,14})(?!\d)/y;
const escapeAt = /\\(?:["'\\/bfnrt]|u[0-9A-Fa-f]{4})/y;

class PathParser {
  readonly #text: string;
  readonly #steps: PathStep[] = [];
  #at: number;

  constructor(text: string) {
    this.#text = text;
    this.#at = 1;
  }

  parse(): readonly PathStep[] {
    if (this.#text[0] !== "$") this.#fail("it must begin with $");
    while (this.#at < this.#text.length) {
      this.#steps.push(this.#step());
      if (this.#steps.length > limits.pathStepsMax) {
        this.#fail(`it has more than ${limits.pathStepsMax} steps`);
      }
    }
    if (this.#steps.at(-1)?.kind === "descendants") this.#unexpected("a member's name or *");
    if (this.#steps.filter((step) => step.kind === "descendants").length > 1) {
      this.#fail("it may hold .. only once");
    }
    return this.#steps;
  }

  #step(): PathStep {
    const afterDots = this.#steps.at(-1)?.kind === "descendants";
    if (afterDots && this.#peek() !== "[") return this.#dotted();
    if (this.#take("..")) return { kind: "descendants" };
    if (this.#take(".")) return this.#dotted();
    if (this.#take("[")) return this.#bracketed();
    return this.#unexpected("a dot or a bracket");
  }

  #dotted(): PathStep {
    if (this.#take("*")) return { kind: "wildcard" };
    const name = this.#match(nameAt);
    if (name === undefined) return this.#unexpected("a member's name or *");
    return { kind: "member", key: name };
  }

  #bracketed(): PathStep {
    this.#skipSpace();
    const step = this.#take("*") ? ({ kind: "wildcard" } as const) : this.#selection();
    this.#skipSpace();
    if (!this.#take("]")) this.#unexpected("]");
    return step;
  }

  /** One key, several with commas between them, or a slice. */
  #selection(): PathStep {
    const first = this.#key();
    this.#skipSpace();
    if (this.#peek() === ":") return this.#slice(first);
    if (first === undefined) return this.#unexpected("a quoted name, an index, a slice or *");
    const keys = new Set([this.#own(first)]);
    while (this.#take(",")) {
      this.#skipSpace();
      const key = this.#key();
      if (key === undefined) return this.#unexpected("a quoted name or an index");
      keys.add(this.#own(key));
      this.#skipSpace();
    }
    return keys.size > 1 ? { kind: "union", keys: [...keys] } : { kind: "member", key: first };
  }

  #own(key: string | number): string | number {
    if (typeof key === "number" && key < 0) {
      this.#fail(`an index cannot be negative; the last element is [-1:]`);
    }
    return key;
  }

  #slice(start: string | number | undefined): PathStep {
    if (typeof start === "string") return this.#unexpected("a number before the colon");
    this.#take(":");
    const end = this.#integer();
    const by = this.#take(":") ? this.#integer() : undefined;
    if (by === 0) this.#fail("a slice cannot go by steps of 0");
    return {
      kind: "slice",
      ...(start !== undefined && { start }),
      ...(end !== undefined && { end }),
      by: by ?? 1,
    };
  }

  #integer(): number | undefined {
    this.#skipSpace();
    const digits = this.#match(integerAt);
    this.#skipSpace();
    return digits === undefined ? undefined : Number(digits);
  }

  #key(): string | number | undefined {
    const next = this.#peek();
    if (next === "'" || next === '"') return this.#quoted(next);
    const digits = this.#match(integerAt);
    return digits === undefined ? undefined : Number(digits);
  }

  #quoted(mark: string): string {
    const open = this.#at;
    this.#at++;
    let key = "";
    for (;;) {
      const next = this.#peek();
      if (next === undefined) this.#fail(`the quote at position ${open + 1} is not closed`);
      if (next === mark) break;
      if (next === "\\") key += this.#escape();
      else {
        key += next;
        this.#at++;
      }
    }
    this.#at++;
    return key;
  }

  #escape(): string {
    const sequence = this.#match(escapeAt);
    if (sequence === undefined) return this.#unexpected("a valid escape such as \\' or \\\\");
    return sequence === "\\'" ? "'" : JSON.parse(`"${sequence}"`);
  }

  #peek(): string | undefined {
    return this.#text[this.#at];
  }

  #take(word: string): boolean {
    if (!this.#text.startsWith(word, this.#at)) return false;
    this.#at += word.length;
    return true;
  }

  #match(sticky: RegExp): string | undefined {
    sticky.lastIndex = this.#at;
    const found = sticky.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #skipSpace(): void {
    while (this.#peek() === " ") this.#at++;
  }

  #unexpected(wanted: string): never {
    const next = this.#peek();
    if (next === "?" || next === "(") this.#fail("filters and scripts are not allowed");
    if (next === "^" || next === "~") this.#fail(`the operator ${next} is not allowed`);
    if (next === "@") this.#fail("type operators are not allowed; a key with @ must be quoted");
    const found = next === undefined ? "the end" : JSON.stringify(next);
    const hint = next === undefined ? "" : "; other names are written ['like this']";
    this.#fail(`at position ${this.#at + 1} stands ${found} instead of ${wanted}${hint}`);
  }

  #fail(reason: string): never {
    throw new ReferenceSyntaxError(`${JSON.stringify(this.#text)} is not a reference: ${reason}.`);
  }
}

/** Whether the path means one value at most; any other path means a list. */
export function isDefinite(steps: readonly PathStep[]): boolean {
  return steps.every((step) => step.kind === "member");
}
