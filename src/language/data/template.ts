/**
 * Templates: any JSON value whose strings may refer to data. Resolving returns JSON *text*, so
 * that whole outputs and large integers pass through exactly as they came.
 */
import { limits } from "../../base/limits.ts";
import type { Json, JsonText } from "../../model/json.ts";
import { isExactNumber } from "../../model/numbers.ts";
import { findOutside } from "./default-text.ts";
import {
  beginsReference,
  parseReference,
  type Reference,
  ReferenceSyntaxError,
  resolveReference,
  textsToIndex,
} from "./reference.ts";
import { mergeNeeds, type Needs, noNeeds, type Scope } from "./scope.ts";
import { TextIndexes } from "./text-index.ts";
import { Work } from "./work.ts";

/** A compiled template; `needs` says which data has to be loaded before it is resolved. */
export interface Template {
  readonly needs: Needs;
  readonly references: readonly Reference[];
  /** Names of the texts that it looks into so often that they are indexed. */
  readonly indexed: ReadonlySet<string>;
  /** Text and values in turn: the resolved text is each `before`, its value, and then `tail`. */
  readonly slots: readonly Slot[];
  readonly tail: string;
}

interface Slot {
  readonly before: string;
  readonly reference: Reference;
  /** Inside a longer string, as opposed to a whole value. */
  readonly embedded: boolean;
}

interface TemplateProblem {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** A template that does not parse. */
export class TemplateSyntaxError extends Error {
  override readonly name = "TemplateSyntaxError";
  readonly problems: readonly TemplateProblem[];

  constructor(problems: readonly TemplateProblem[]) {
    super(problems.map((problem) => problem.message).join(" "));
    this.problems = problems;
  }
}

/** A string of a template, taken apart: literal text and references. */
export type StringPart = string | Reference;

/**
 * Takes a string apart. One part that is a reference: the string stands for the value itself.
 * Throws ReferenceSyntaxError.
 */
export function parseString(text: string): readonly StringPart[] {
  if (!text.includes("$")) return [text];
  if (beginsReference(text, 0)) return [parseReference(text)];
  const parts: StringPart[] = [];
  let literal = "";
  let from = 0;
  for (let at = 0; at >= 0; at = afterBrace(text, Math.max(at, from))) {
    const last = lastDollar(text, at);
    if (!beginsReference(text, last)) continue;
    if (last > at) {
      // $$ stands for a literal $: one of them goes.
      literal += text.slice(from, last);
      from = last + 1;
      continue;
    }
    literal += text.slice(from, at - 1);
    if (literal !== "") parts.push(literal);
    literal = "";
    const end = closingBrace(text, at);
    parts.push(parseReference(text.slice(at, end)));
    from = end + 1;
  }
  literal += text.slice(from);
  if (literal !== "" || parts.length === 0) parts.push(literal);
  return parts;
}

/** For what must be one reference, or one in braces. Throws ReferenceSyntaxError. */
export function parseWholeReference(text: string): Reference {
  const parts = parseString(text);
  const [first] = parts;
  if (parts.length === 1 && typeof first === "object") return first;
  throw new ReferenceSyntaxError(
    `${JSON.stringify(text.slice(0, 100))} must be one reference, such as "$.input.status".`,
  );
}

/** Where the next reference may begin: directly after a brace. */
function afterBrace(text: string, from: number): number {
  const brace = text.indexOf("{$", from);
  return brace < 0 ? -1 : brace + 1;
}

/** Position of the last dollar of the row that begins at `at`; before `at` when none does. */
function lastDollar(text: string, at: number): number {
  let last = at - 1;
  while (text[last + 1] === "$") last++;
  return last;
}

/** Position of the brace that ends the reference. */
function closingBrace(text: string, from: number): number {
  const end = findOutside(text, from, "}");
  if (end >= 0) return end;
  const start = JSON.stringify(text.slice(from - 1, from + 40));
  throw new ReferenceSyntaxError(
    `The reference that begins with ${start} has no closing brace; a literal $ is written $$.`,
  );
}

/** Throws TemplateSyntaxError with every problem. */
export function compileTemplate(value: Json): Template {
  const compiler = new Compiler();
  compiler.value(value, []);
  if (compiler.problems.length > 0) throw new TemplateSyntaxError(compiler.problems);
  const references = compiler.slots.map((slot) => slot.reference);
  const needs = mergeNeeds(references.map((reference) => reference.needs));
  const indexed = textsToIndex(references);
  return { needs, references, indexed, slots: compiler.slots, tail: compiler.literal };
}

/** Of a value that is no template, whatever it looks like. */
export function literalTemplate(text: string): Template {
  const tail = JSON.stringify(text);
  return { needs: noNeeds, references: [], indexed: new Set(), slots: [], tail };
}

/** The reference that a template consists of; undefined: there is more to it, or less. */
export function wholeReference({ slots, tail }: Template): Reference | undefined {
  const [only] = slots;
  const isWhole = slots.length === 1 && !only!.embedded && only!.before === "" && tail === "";
  return isWhole ? only!.reference : undefined;
}

class Compiler {
  readonly problems: TemplateProblem[] = [];
  readonly slots: Slot[] = [];
  literal = "";

  value(value: Json, path: readonly (string | number)[]): void {
    if (typeof value === "string") {
      this.#string(value, path);
    } else if (isExactNumber(value)) {
      this.literal += value.rawJSON;
    } else if (typeof value !== "object" || value === null) {
      this.literal += JSON.stringify(value);
    } else if (path.length >= limits.jsonDepthMax) {
      const message = `The value is nested deeper than ${limits.jsonDepthMax} levels.`;
      this.problems.push({ path, message });
    } else if (Array.isArray(value)) {
      this.#array(value, path);
    } else {
      this.#object(value as { readonly [key: string]: Json }, path);
    }
  }

  #array(items: readonly Json[], path: readonly (string | number)[]): void {
    this.literal += "[";
    for (const [index, item] of items.entries()) {
      if (index > 0) this.literal += ",";
      this.value(item, [...path, index]);
    }
    this.literal += "]";
  }

  #object(value: { readonly [key: string]: Json }, path: readonly (string | number)[]): void {
    this.literal += "{";
    let separator = "";
    for (const [key, member] of Object.entries(value)) {
      this.literal += `${separator}${JSON.stringify(key)}:`;
      this.value(member, [...path, key]);
      separator = ",";
    }
    this.literal += "}";
  }

  #string(text: string, path: readonly (string | number)[]): void {
    let parts: readonly StringPart[];
    try {
      parts = parseString(text);
    } catch (error) {
      if (!(error instanceof ReferenceSyntaxError)) throw error;
      this.problems.push({ path, message: error.message });
      return;
    }
    const [first] = parts;
    if (parts.length === 1 && typeof first === "object") {
      this.#slot(first, false);
      return;
    }
    this.literal += '"';
    for (const part of parts) {
      if (typeof part === "string") this.literal += inString(part);
      else this.#slot(part, true);
    }
    this.literal += '"';
  }

  #slot(reference: Reference, embedded: boolean): void {
    this.slots.push({ before: this.literal, reference, embedded });
    this.literal = "";
  }
}

type Resolved =
  | { readonly ok: true; readonly text: JsonText }
  | { readonly ok: false; readonly missing: string };

/**
 * `strict`: a missing reference is a separate outcome; otherwise it is null, or empty text. A
 * text longer than a payload may be is cut off: the caller refuses it by its length. Throws
 * TooLarge.
 */
export function resolveTemplate(
  template: Template,
  view: Scope,
  options?: { strict?: boolean; work?: Work },
): Resolved {
  const { slots, tail, indexed } = template;
  const work = options?.work ?? new Work();
  const indexes = indexed.size > 0 ? new TextIndexes(indexed) : TextIndexes.none;
  let text = "";
  for (const { before, reference, embedded } of slots) {
    const value = resolveReference(reference, view, work, indexes);
    if (value === undefined && options?.strict === true) {
      return { ok: false, missing: reference.text };
    }
    text += before;
    if (embedded) text += value === undefined ? "" : embeddedText(value);
    else text += value ?? "null";
    if (text.length > limits.payloadBytesMax) break;
  }
  return { ok: true, text: text + tail };
}

/** A value inside a longer string: strings as they are, other values as JSON. */
function embeddedText(value: JsonText): string {
  return value.startsWith('"') ? value.slice(1, -1) : inString(value);
}

function inString(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}
