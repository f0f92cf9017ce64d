/**
 * JSONPath as the language has it: members, indexes, wildcards, slices, unions, filters and one
 * `..`; no scripts, functions, parents or type operators. Paths are parsed at registration and
 * evaluated over JSON text, so that numbers stay exact and only own data can be reached.
 */
import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import { parseFilter } from "./filter-parser.ts";
import type { FilterQuery, PathStep } from "./path-step.ts";
import { PathText, ReferenceSyntaxError } from "./path-text.ts";

/** Parses what follows `$`. Throws ReferenceSyntaxError with a sentence that says what is wrong. */
export function parsePath(text: string): readonly PathStep[] {
  if (text.length > limits.pathCharsMax) {
    throw new ReferenceSyntaxError(
      `The reference has ${text.length} characters; at most ${limits.pathCharsMax} are allowed.`,
    );
  }
  return new PathParser(new PathText(text)).parse();
}

/** `$<id>.output`, which is short for `$.<id>.output`. */
export const shortFormAt = /\$(?:\d+|[A-Za-z_][A-Za-z0-9_-]*)\.output(?![A-Za-z0-9_-])/y;

const nameAt = /[A-Za-z0-9_\-\u0080-\uffff]+/y;
/** In a filter, space may be before a step. */
const stepAt = /[ \t\n\r]*[.[]/y;
const quotedHint = "; other names are written ['like this']";

class PathParser {
  readonly #text: PathText;
  /** Of the path and of those in its filters. */
  #stepsLeft = limits.pathStepsMax;

  constructor(text: PathText) {
    this.#text = text;
  }

  parse(): readonly PathStep[] {
    if (!this.#text.take("$")) this.#text.fail("it must begin with $");
    return this.#steps(() => !this.#text.isAtEnd);
  }

  /** A path in a filter, which ends where no step follows. */
  #query(): FilterQuery {
    const start = this.#text.at;
    const isShort = this.#text.find(shortFormAt) !== undefined;
    const from = this.#text.take("@") ? "@" : "$";
    if (from === "$") this.#text.take("$");
    const first = isShort ? [this.#dotted()] : [];
    const steps = this.#steps(() => this.#text.find(stepAt) !== undefined, first);
    return { from, text: this.#text.from(start), steps };
  }

  #steps(goesOn: () => boolean, steps: PathStep[] = []): readonly PathStep[] {
    let last = steps.at(-1)?.kind;
    while (last === "descendants" ? !this.#text.isAtEnd : goesOn()) {
      const step = this.#step(last === "descendants");
      last = step.kind;
      steps.push(step);
      this.#stepsLeft--;
      if (this.#stepsLeft < 0) this.#text.fail(`it has more than ${limits.pathStepsMax} steps`);
    }
    if (last === "descendants") this.#text.unexpected("a member's name or *");
    if (steps.filter((step) => step.kind === "descendants").length > 1) {
      this.#text.fail("it may hold .. only once");
    }
    return steps;
  }

  #step(afterDots: boolean): PathStep {
    if (afterDots && this.#text.peek() !== "[") return this.#dotted();
    if (this.#text.isNested) this.#text.skipSpace();
    if (this.#text.take("..")) return { kind: "descendants" };
    if (this.#text.take(".")) return this.#dotted();
    if (this.#text.take("[")) return this.#bracketed();
    return this.#text.unexpected("a dot or a bracket", quotedHint);
  }

  #dotted(): PathStep {
    if (this.#text.take("*")) return { kind: "wildcard" };
    const name = this.#text.match(nameAt);
    if (name === undefined) return this.#text.unexpected("a member's name or *", quotedHint);
    return { kind: "member", key: name };
  }

  #bracketed(): PathStep {
    this.#text.skipSpace();
    const step = this.#inBrackets();
    this.#text.skipSpace();
    if (this.#text.take("]")) return step;
    if (step.kind !== "filter") return this.#text.unexpected("]", quotedHint);
    if (this.#text.peek() === ",") this.#text.fail("a filter stands alone in its brackets");
    return this.#text.unexpected("&&, || or ]");
  }

  #inBrackets(): PathStep {
    if (this.#text.take("*")) return { kind: "wildcard" };
    if (!this.#text.take("?")) return this.#selection();
    const filter = this.#text.nested(() => parseFilter(this.#text, () => this.#query()));
    return { kind: "filter", filter };
  }

  /** One key, several with commas between them, or a slice. */
  #selection(): PathStep {
    const first = this.#key();
    this.#text.skipSpace();
    if (this.#text.peek() === ":") return this.#slice(first);
    if (first === undefined) {
      return this.#text.unexpected("a quoted name, an index, a slice, a filter or *", quotedHint);
    }
    const keys = new Set([this.#own(first)]);
    while (this.#text.take(",")) {
      this.#text.skipSpace();
      const key = this.#key();
      if (key === undefined) {
        return this.#text.unexpected("a quoted name or an index", quotedHint);
      }
      keys.add(this.#own(key));
      this.#text.skipSpace();
    }
    return keys.size > 1 ? { kind: "union", keys: [...keys] } : { kind: "member", key: first };
  }

  #own(key: string | number): string | number {
    if (typeof key === "number" && key < 0) {
      this.#text.fail(`an index cannot be negative; the last element is [-1:]`);
    }
    return key;
  }

  #slice(start: string | number | undefined): PathStep {
    if (typeof start === "string") {
      return this.#text.unexpected("a number before the colon", quotedHint);
    }
    this.#text.take(":");
    const end = this.#bound();
    const by = this.#text.take(":") ? this.#bound() : undefined;
    if (by === 0) this.#text.fail("a slice cannot go by steps of 0");
    return {
      kind: "slice",
      ...defined({ start, end }),
      by: by ?? 1,
    };
  }

  #bound(): number | undefined {
    this.#text.skipSpace();
    const bound = this.#text.integer();
    this.#text.skipSpace();
    return bound;
  }

  #key(): string | number | undefined {
    return this.#text.quoted() ?? this.#text.integer();
  }
}
