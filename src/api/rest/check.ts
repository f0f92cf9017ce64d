/**
 * Checks values against schemas and says what is wrong in whole sentences: where, what it is, and
 * what would be right. What was sent is never repeated, as it may be large or secret.
 */
import * as v from "valibot";
import type { Problem } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import { nearest } from "../../base/nearest.ts";
import type { Fields, Schema } from "./route.ts";

type Entries = Readonly<Record<string, Schema>>;

type Checked =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** A step of a JSON pointer. */
export function pointerStep(key: unknown): string {
  return `/${String(key).replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

/**
 * A JSON value; strict object schemas refuse unknown members, at any depth. Returns the value as it
 * came: Valibot's copy would lack members such as `__proto__`, which are plain data here.
 */
export function checkJson(schema: Schema, value: unknown): Checked {
  const problems = checkMembers(schema, value, "");
  const said = new Set(problems.map(({ pointer }) => pointer));
  for (const issue of v.safeParse(schema, lookedAt(schema, value)).issues ?? []) {
    if (issue.expected === "never") continue;
    const steps = issue.path?.map((step) => pointerStep(step.key)) ?? [];
    // What has been said of a value above stands for all that is inside it.
    if (steps.some((_, i) => said.has(steps.slice(0, i).join("")))) continue;
    const pointer = steps.join("");
    if (!said.has(pointer)) problems.push({ pointer, message: describe(issue) });
  }
  return conclude(problems, value);
}

/**
 * The part of a value that rules are about. Valibot copies each member and item, and reports each
 * wrong one, before it reports that they are too many or that the value has the wrong type.
 */
function lookedAt(schema: Schema, value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  const { entries } = bare(schema) as Schema & { entries?: Entries };
  if (Array.isArray(value)) {
    const itemsMax = entries ? 0 : itemsMaxOf(schema);
    return value.length > itemsMax ? value.slice(0, itemsMax + 1) : value;
  }
  if (!entries) return value;
  const known = Object.entries(entries).filter(([name]) => Object.hasOwn(value, name));
  const members = value as Readonly<Record<string, unknown>>;
  return Object.fromEntries(known.map(([name, inner]) => [name, lookedAt(inner, members[name])]));
}

/** Of a list: the longest that its rules allow. */
function itemsMaxOf(schema: Schema): number {
  const one = schema as Schema & { wrapped?: Schema; pipe?: readonly Partial<LengthRule>[] };
  if (one.wrapped) return itemsMaxOf(one.wrapped);
  const rule = one.pipe?.find(({ type }) => type === "max_length");
  return rule?.requirement ?? Number.POSITIVE_INFINITY;
}

interface LengthRule {
  readonly type: string;
  readonly requirement: number;
}

/**
 * Named texts: parameters of the path (`{id}`), of the query (`?limit`) or headers. Texts become
 * numbers and booleans where the schema requires them.
 */
export function checkTexts(
  entries: Fields,
  texts: ReadonlyMap<string, string>,
  place: (name: string) => string,
): Checked {
  const problems: Problem[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(entries as Entries)) {
    const text = texts.get(name);
    const answer = v.safeParse(schema, text === undefined ? undefined : convert(schema, text));
    if (answer.success) values[name] = answer.output;
    else problems.push({ pointer: place(name), message: describe(answer.issues[0]) });
  }
  return conclude(problems, values);
}

function conclude(problems: readonly Problem[], value: unknown): Checked {
  return problems.length === 0
    ? { ok: true, value }
    : { ok: false, problems: problems.slice(0, limits.definitionProblemsMax) };
}

/** The schema inside `optional`, and the first one of a pipe. */
function bare(schema: Schema): Schema {
  const one = schema as Schema & { wrapped?: Schema; pipe?: readonly [Schema] };
  if (one.wrapped) return bare(one.wrapped);
  return one.pipe && one.pipe[0] !== schema ? bare(one.pipe[0]) : schema;
}

const numberPattern = /^-?\d{1,15}(?:\.\d{1,30})?$/;

function convert(schema: Schema, text: string): unknown {
  const { type } = bare(schema);
  if (type === "number" && numberPattern.test(text)) return Number(text);
  if (type === "boolean" && (text === "true" || text === "false")) return text === "true";
  return text;
}

export interface Respelled {
  readonly value: unknown;
  /** How a member of the schema was spelled. */
  spelledAs(name: string): string;
}

/**
 * Members that the schema knows in another letter case get its name, as the Go server read them.
 */
export function respelled(schema: Schema, value: unknown): Respelled {
  const { type, entries } = bare(schema) as Schema & { entries?: Entries };
  if (!entries || typeof value !== "object" || value === null || Array.isArray(value)) {
    return { value, spelledAs: (name) => name };
  }
  const known = new Map(Object.keys(entries).map((name) => [name.toLowerCase(), name]));
  const members = value as Readonly<Record<string, unknown>>;
  const spellings = new Map<string, string>();
  let isUsual = true;
  for (const spelled of Object.keys(members)) {
    const name = known.get(spelled.toLowerCase());
    if (name === undefined) continue;
    spellings.set(name, spelled);
    isUsual &&= name === spelled;
  }
  const spelledAs = (name: string) => spellings.get(name) ?? name;
  if (isUsual) return { value, spelledAs };
  // Most schemas ignore unknown members: there may be many, and they are not copied.
  const kept = type === "loose_object" ? Object.keys(members) : spellings.values();
  const entriesKept = Array.from(kept, (spelled) => [
    known.get(spelled.toLowerCase()) ?? spelled,
    members[spelled],
  ]);
  return { value: Object.fromEntries(entriesKept), spelledAs };
}

/**
 * Valibot takes arrays for objects, looks names up with `in`, so that `toString` would count as
 * known, and stops at the first unknown member; hence this walk of our own.
 */
function checkMembers(schema: Schema, value: unknown, pointer: string): Problem[] {
  const { type, entries } = bare(schema) as Schema & { entries?: Entries };
  if (!(entries || type === "record") || typeof value !== "object" || value === null) return [];
  if (Array.isArray(value)) return [{ pointer, message: "It must be an object, not an array." }];
  if (!entries) return [];
  const problems: Problem[] = [];
  // Where unknown members are no mistake, there may be any number of them.
  const names = type === "strict_object" ? Object.keys(value) : Object.keys(entries);
  for (const name of names) {
    if (problems.length >= limits.definitionProblemsMax) break;
    const at = pointer + pointerStep(name.slice(0, limits.nameCharsMax));
    if (Object.hasOwn(entries, name)) {
      if (!Object.hasOwn(value, name)) continue;
      problems.push(...checkMembers(entries[name]!, (value as Record<string, unknown>)[name], at));
    } else {
      problems.push({ pointer: at, message: unknownName("member", name, Object.keys(entries)) });
    }
  }
  return problems;
}

export function unknownName(what: string, name: string, known: readonly string[]): string {
  const near = nearest(name, known);
  if (near !== undefined) return `Unknown ${what}; did you mean "${near}"?`;
  if (known.length === 0) return `Unknown ${what}; none is accepted here.`;
  return `Unknown ${what}; known: ${known.join(", ")}.`;
}

const typeNames: Readonly<Record<string, string>> = {
  string: "a string",
  number: "a number",
  boolean: "true or false",
  Object: "an object",
  Array: "an array",
};

/** Rules of pipes carry sentences of their own; what is left is a wrong or missing type. */
function describe(issue: v.BaseIssue<unknown>): string {
  if (issue.kind !== "schema") return issue.message;
  if (issue.input === undefined) return "It is missing.";
  // The schema has a sentence of its own.
  if (!issue.message.startsWith("Invalid ")) return issue.message;
  const expected = issue.expected ?? "something else";
  const wanted = typeNames[expected] ?? expected.replaceAll(/[()]/g, "").replaceAll(" | ", ", ");
  const one = typeNames[expected] || !expected.includes("|") ? "" : "one of ";
  return `It must be ${one}${wanted}${actual(issue.input)}.`;
}

function actual(value: unknown): string {
  if (value === null) return ", not null";
  if (Array.isArray(value)) return ", not an array";
  return typeof value === "string" ? "" : `, not ${typeNames[typeof value] ?? "an object"}`;
}
