/** Which values pass a filter. */
import { unreachable } from "../../base/errors.ts";
import type { JsonText } from "../../model/json.ts";
import { type Comparable, comparable, compare } from "./comparable.ts";
import {
  type CompareOperator,
  type Filter,
  type FilterQuery,
  isDefinite,
  type Operand,
  type PathStep,
} from "./path-step.ts";
import type { TextIndex } from "./text-index.ts";
import type { Work } from "./work.ts";

interface FilteredText {
  readonly index: TextIndex;
  readonly work: Work;
  /** Text of what a path finds that begins with `$`; undefined when that is nothing. */
  readonly outer: (query: FilterQuery) => JsonText | undefined;
  /** Numbers of the values that a path finds from one value on. */
  readonly find: (value: number, steps: readonly PathStep[]) => readonly number[];
}

export class FilterTester {
  readonly #of: FilteredText;
  /** What is the same for all values: literals, and what paths find that begin with `$`. */
  readonly #fixed = new Map<Operand, Comparable | undefined>();
  readonly #found = new Map<FilterQuery, boolean>();

  constructor(of: FilteredText) {
    this.#of = of;
  }

  passes(value: number, filter: Filter): boolean {
    this.#of.work.lookAt(1);
    switch (filter.kind) {
      case "or":
        return filter.parts.some((part) => this.passes(value, part));
      case "and":
        return filter.parts.every((part) => this.passes(value, part));
      case "not":
        return !this.passes(value, filter.part);
      case "exists":
        return this.#exists(value, filter.query);
      case "compare": {
        const left = this.#operand(value, filter.left);
        return holds(
          filter.operator,
          compare(left, this.#operand(value, filter.right), this.#of.work),
        );
      }
      default:
        return unreachable(filter);
    }
  }

  #exists(value: number, query: FilterQuery): boolean {
    if (query.from === "@") {
      if (isDefinite(query.steps)) return this.#one(value, query.steps) >= 0;
      return this.#of.find(value, query.steps).length > 0;
    }
    let exists = this.#found.get(query);
    if (exists === undefined) {
      exists = this.#of.outer(query) !== undefined;
      this.#found.set(query, exists);
    }
    return exists;
  }

  #operand(value: number, operand: Operand): Comparable | undefined {
    const { index, work } = this.#of;
    if (operand.from === "@") {
      const found = this.#one(value, operand.steps);
      return found < 0 ? undefined : comparable(index.textOf(found), work);
    }
    if (!this.#fixed.has(operand)) {
      const text = operand.from === "literal" ? operand.text : this.#of.outer(operand);
      this.#fixed.set(operand, text === undefined ? undefined : comparable(text, work));
    }
    return this.#fixed.get(operand);
  }

  /** What a path of members finds, or -1. */
  #one(value: number, steps: readonly PathStep[]): number {
    let found = value;
    for (const step of steps) {
      found = this.#of.index.child(found, (step as { key: string | number }).key);
      if (found < 0) return -1;
    }
    return found;
  }
}

/** `order` is below 0, 0, above 0, or NaN for values that are neither equal nor in an order. */
function holds(operator: CompareOperator, order: number): boolean {
  switch (operator) {
    case "==":
      return order === 0;
    case "!=":
      return order !== 0;
    case "<":
      return order < 0;
    case "<=":
      return order <= 0;
    case ">":
      return order > 0;
    case ">=":
      return order >= 0;
  }
}
