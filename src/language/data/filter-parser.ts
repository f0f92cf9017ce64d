/**
 * Parses filters, which are the conditions of RFC 9535 without functions: comparisons, paths that
 * must find something, `&&`, `||`, `!` and parentheses.
 */
import {
  type CompareOperator,
  type Filter,
  type FilterQuery,
  isDefinite,
  type Operand,
} from "./path-step.ts";
import type { PathText } from "./path-text.ts";

/** Parses what follows `?`. `query` reads a path, from its `@` or `$` on. */
export function parseFilter(text: PathText, query: () => FilterQuery): Filter {
  return new FilterParser(text, query).any();
}

const operatorAt = /[=!]=|[<>]=?/y;
const numberAt = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const wordAt = /(?:true|false|null)(?![A-Za-z0-9_(])/y;
const callAt = /[A-Za-z_][A-Za-z0-9_.]*(?=\()/y;

const operands = "@, $, a quoted text, a number, true, false or null";

class FilterParser {
  readonly #text: PathText;
  readonly #query: () => FilterQuery;

  constructor(text: PathText, query: () => FilterQuery) {
    this.#text = text;
    this.#query = query;
  }

  any(): Filter {
    return this.#row("or", "||", () => this.#row("and", "&&", () => this.#basic()));
  }

  #row(kind: "or" | "and", word: string, read: () => Filter): Filter {
    const parts = [read()];
    while (this.#text.take(word)) parts.push(read());
    return parts.length === 1 ? parts[0]! : { kind, parts };
  }

  /** With the space around it. */
  #basic(): Filter {
    this.#text.skipSpace();
    const filter = this.#text.take("!") ? this.#not() : this.#positive();
    this.#text.skipSpace();
    return filter;
  }

  #not(): Filter {
    this.#text.skipSpace();
    const part = this.#text.peek() === "(" ? this.#positive() : this.#exists();
    this.#text.skipSpace();
    if (this.#text.find(operatorAt) !== undefined) {
      this.#text.fail("a comparison after ! stands in parentheses: !(@.price > 10)");
    }
    return { kind: "not", part };
  }

  #exists(): Filter {
    const operand = this.#operand("@, $ or (");
    if (operand.from !== "literal") return { kind: "exists", query: operand };
    return this.#text.fail(`${operand.text} alone is not a condition; compare it with a path`);
  }

  #positive(): Filter {
    if (this.#text.take("(")) {
      const inside = this.#text.nested(() => this.any());
      if (!this.#text.take(")")) this.#text.unexpected("&&, || or )");
      return inside;
    }
    const start = this.#text.at;
    const left = this.#operand(`${operands}, ! or (`);
    const leftText = this.#text.from(start);
    this.#text.skipSpace();
    const operator = this.#operator();
    if (operator !== undefined) return this.#comparison(left, operator);
    if (left.from !== "literal") return { kind: "exists", query: left };
    return this.#text.fail(`${leftText} alone is not a condition; compare it with a path`);
  }

  #comparison(left: Operand, operator: CompareOperator): Filter {
    this.#text.skipSpace();
    const right = this.#operand(operands);
    for (const operand of [left, right]) {
      if (operand.from === "literal" || isDefinite(operand.steps)) continue;
      this.#text.fail(
        `${operand.text} may find several values; only a path to one value can be compared`,
      );
    }
    return { kind: "compare", operator, left, right };
  }

  #operator(): CompareOperator | undefined {
    const operator = this.#text.match(operatorAt) as CompareOperator | undefined;
    if (this.#text.take("=~")) this.#text.fail("regular expressions are not allowed");
    if (this.#text.peek() === "=") this.#text.fail("the operators are ==, !=, <, <=, > and >=");
    return operator;
  }

  #operand(wanted: string): Operand {
    const next = this.#text.peek();
    if (next === "@" || next === "$") return this.#query();
    const call = this.#text.find(callAt);
    if (call !== undefined) this.#text.fail(`functions such as ${call}() are not allowed`);
    const quoted = this.#text.quoted();
    if (quoted !== undefined) return { from: "literal", text: JSON.stringify(quoted) };
    const literal = this.#text.match(wordAt) ?? this.#text.match(numberAt);
    return literal === undefined
      ? this.#text.unexpected(wanted)
      : { from: "literal", text: literal };
  }
}
