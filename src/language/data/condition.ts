/**
 * Conditions on data: `{"ref": "$.input.total", "gt": 100}`, and `all`, `any` and `not` of others. They
 * are decided here, without a script: numbers by their exact value, texts by code point.
 */
import { inBytes } from "../../base/amount.ts";
import { unreachable } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import type { Json, JsonText } from "../../model/json.ts";
import { type Comparable, comparable, compare } from "./comparable.ts";
import { compareInstants, instantOf } from "./instant.ts";
import { elementsOf } from "./json-text.ts";
import { type Reference, resolveReference, textsToIndex } from "./reference.ts";
import { mergeNeeds, type Needs, type Scope } from "./scope.ts";
import {
  compileTemplate,
  parseWholeReference,
  resolveTemplate,
  type Template,
  wholeReference,
} from "./template.ts";
import { TextIndexes } from "./text-index.ts";
import type { Work } from "./work.ts";

export const operators = [
  "eq",
  "ne",
  "gt",
  "gte",
  "lt",
  "lte",
  "in",
  "exists",
  "isNull",
  "startsWith",
  "contains",
  "type",
] as const;
type Operator = (typeof operators)[number];

export const jsonTypes = ["string", "number", "boolean", "null", "array", "object"] as const;

export type Condition =
  | { readonly kind: "all" | "any"; readonly parts: readonly Condition[] }
  | { readonly kind: "not"; readonly part: Condition }
  | { readonly kind: "test"; readonly reference: Reference; readonly tests: readonly Test[] };

interface Test {
  readonly operator: Operator;
  readonly operand: Operand;
}

/** A template; of `in` one for each element, or a reference to an array. */
type Operand = Template | readonly Template[];

/** Compiles a condition that has passed the checks of readers/conditions.ts. */
export function compileCondition(value: Json): Condition {
  const { ref, all, any, not, ...tests } = value as { readonly [field: string]: Json };
  if (all !== undefined) return { kind: "all", parts: (all as Json[]).map(compileCondition) };
  if (any !== undefined) return { kind: "any", parts: (any as Json[]).map(compileCondition) };
  if (not !== undefined) return { kind: "not", part: compileCondition(not) };
  return {
    kind: "test",
    reference: parseWholeReference(ref as string),
    tests: Object.entries(tests).map(([operator, operand]) => ({
      operator: operator as Operator,
      operand:
        Array.isArray(operand) && operator === "in"
          ? operand.map(compileTemplate)
          : compileTemplate(operand),
    })),
  };
}

/** What conditions that are decided together read; `indexed`: see `Template`. */
export function readsOf(conditions: readonly Condition[]): {
  readonly needs: Needs;
  readonly indexed: ReadonlySet<string>;
} {
  const references = conditions.flatMap(referencesOf);
  const needs = mergeNeeds(references.map((one) => one.needs));
  return { needs, indexed: textsToIndex(references) };
}

/** All references of a condition. */
function referencesOf(condition: Condition): readonly Reference[] {
  switch (condition.kind) {
    case "all":
    case "any":
      return condition.parts.flatMap(referencesOf);
    case "not":
      return referencesOf(condition.part);
    case "test": {
      const operands = condition.tests.flatMap(({ operand }) => operand);
      return [condition.reference, ...operands.flatMap(({ references }) => references)];
    }
  }
}

/** Decides some conditions on the same data. */
export class Conditions {
  /** The first reference that was read and has no value, where that matters: see `strict`. */
  missing: string | undefined;
  readonly #view: Scope;
  readonly #work: Work;
  readonly #indexes: TextIndexes;

  /** `indexed`: as `readsOf` of all of them returns it. */
  constructor(view: Scope, work: Work, indexed: ReadonlySet<string>) {
    this.#view = view;
    this.#work = work;
    this.#indexes = new TextIndexes(indexed);
  }

  /** Throws TooLarge. */
  holds(condition: Condition): boolean {
    switch (condition.kind) {
      case "all":
        return condition.parts.every((part) => this.holds(part));
      case "any":
        return condition.parts.some((part) => this.holds(part));
      case "not":
        return !this.holds(condition.part);
      case "test": {
        const { reference, tests } = condition;
        const value = resolveReference(reference, this.#view, this.#work, this.#indexes);
        const isAsked = tests.some(({ operator }) => operator === "exists");
        if (value === undefined && !isAsked) this.missing ??= reference.text;
        return tests.every(({ operator, operand }) => this.#passes(value, operator, operand));
      }
    }
  }

  #passes(value: JsonText | undefined, operator: Operator, operand: Operand): boolean {
    if (operator === "in") return value !== undefined && this.#isIn(value, operand);
    const other = this.#resolve(operand as Template);
    if (operator === "exists") return (value !== undefined) === (other === "true");
    if (value === undefined || other === undefined) return operator === "ne";
    switch (operator) {
      case "isNull":
        return (value === "null") === (other === "true");
      case "type":
        return JSON.stringify(typeOf(value)) === other;
      case "contains":
        return this.#contains(value, other);
      case "eq":
      case "ne":
        return (this.#compare(value, other) === 0) === (operator === "eq");
      case "startsWith": {
        const [text, start] = [this.#comparable(value), this.#comparable(other)];
        return areTexts(text, start) && text.value.startsWith(start.value);
      }
      case "gt":
        return this.#order(value, other) > 0;
      case "gte":
        return this.#order(value, other) >= 0;
      case "lt":
        return this.#order(value, other) < 0;
      case "lte":
        return this.#order(value, other) <= 0;
      default:
        return unreachable(operator);
    }
  }

  #isIn(value: JsonText, operand: Operand): boolean {
    const isWhole = !Array.isArray(operand);
    const array = isWhole ? this.#resolve(operand as Template) : undefined;
    const elements = isWhole
      ? this.#elementsOf(array)
      : (operand as readonly Template[]).map((element) => this.#resolve(element));
    return elements.some((one) => one !== undefined && this.#compare(value, one) === 0);
  }

  #contains(value: JsonText, other: JsonText): boolean {
    const [whole, part] = [this.#comparable(value), this.#comparable(other)];
    if (areTexts(whole, part)) return whole.value.includes(part.value);
    return this.#elementsOf(value).some((element) => this.#compare(element, other) === 0);
  }

  /** None of what is no array. */
  #elementsOf(text: JsonText | undefined): readonly JsonText[] {
    if (text === undefined || !text.startsWith("[")) return [];
    this.#work.readText(text);
    const elements = elementsOf(text) ?? [];
    this.#work.lookAt(elements.length);
    return elements;
  }

  /** Undefined for a reference without a value. */
  #resolve(template: Template): JsonText | undefined {
    const whole = wholeReference(template);
    if (whole !== undefined) {
      const value = resolveReference(whole, this.#view, this.#work, this.#indexes);
      if (value === undefined) this.missing ??= whole.text;
      return value;
    }
    const text = this.#fill(template);
    if (text.length > limits.payloadBytesMax)
      this.#work.tooLarge(`becomes larger than ${inBytes(limits.payloadBytesMax)}`);
    return text;
  }

  #fill(template: Template): JsonText {
    const work = this.#work;
    const found = resolveTemplate(template, this.#view, { work, strict: true });
    if (found.ok) return found.text;
    this.missing ??= found.missing;
    const filled = resolveTemplate(template, this.#view, { work });
    return filled.ok ? filled.text : "null";
  }

  #comparable(text: JsonText): Comparable {
    return comparable(text, this.#work);
  }

  #compare(one: JsonText, other: JsonText): number {
    return compare(this.#comparable(one), this.#comparable(other), this.#work);
  }

  /** As `compare` of two numbers or texts, and of two times by their moments; NaN for others. */
  #order(one: JsonText, other: JsonText): number {
    const [left, right] = [this.#comparable(one), this.#comparable(other)];
    if (left.kind === "other" || right.kind === "other") return Number.NaN;
    if (areTexts(left, right)) {
      const [from, to] = [instantOf(left.value), instantOf(right.value)];
      if (from !== undefined && to !== undefined) return compareInstants(from, to);
    }
    return compare(left, right, this.#work);
  }
}

function areTexts(one: Comparable, other: Comparable): boolean {
  return one.kind === "text" && other.kind === "text";
}

function typeOf(text: JsonText): (typeof jsonTypes)[number] {
  switch (text[0]) {
    case '"':
      return "string";
    case "{":
      return "object";
    case "[":
      return "array";
    case "t":
    case "f":
      return "boolean";
    case "n":
      return "null";
    default:
      return "number";
  }
}
