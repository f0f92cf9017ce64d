/**
 * References into an execution's data: `$.input.a`, `$.1.output.b`, `$price.output.total`, each with
 * what stands in for a value that is missing or null: `$.input.a ?? $.input.b ?? 0`. Plain
 * member paths, nearly all of them, run as a walk over the text that was compiled at registration.
 */
import type { JsonText } from "../../model/json.ts";
import { fail, isJson, shown, splitDefaults } from "./default-text.ts";
import { findAll } from "./find-all.ts";
import { pick } from "./json-text.ts";
import { parsePath, shortFormAt } from "./path.ts";
import { type FilterQuery, isDefinite, outerQueries, type PathStep } from "./path-step.ts";
import { ReferenceSyntaxError } from "./path-text.ts";
import { actionText, factNames, mergeNeeds, type Needs, noNeeds, type Scope } from "./scope.ts";
import { namesToIndex, TextIndexes } from "./text-index.ts";
import { Work } from "./work.ts";

export { ReferenceSyntaxError };

/** What the first step after `$` names. `all`: it ranges over `$`, or is `$` itself. */
type ReferenceRoot =
  | { readonly kind: "input"; readonly key?: undefined }
  | { readonly kind: "execution"; readonly key?: undefined }
  /** What only some kinds of actions see: the item of a map. */
  | { readonly kind: "own"; readonly key: string }
  | { readonly kind: "action"; readonly key: string }
  | { readonly kind: "all"; readonly key?: undefined };

/** A parsed reference: the path, what it reads of the data, and whether it means one value. */
export interface Reference {
  /** As written. */
  readonly text: string;
  /** A definite path means one value or none, any other an array. */
  readonly definite: boolean;
  readonly needs: Needs;
  readonly root: ReferenceRoot;
  /** What follows the root. */
  readonly steps: readonly PathStep[];
  /** The keys of a definite path, within what `where` names. */
  readonly keys: readonly (string | number)[];
  /** Text that the steps or keys are looked up in: the root's own, or a part of an action. */
  readonly where: "root" | "output" | "facts";
  /** The same for all references that are looked up in the same text. */
  readonly textName: string;
  /** What the paths in its filters that begin with `$` refer to. */
  readonly outer: ReadonlyMap<FilterQuery, Reference>;
  /** What counts when the value is missing or null. */
  readonly otherwise: Otherwise | undefined;
}

type Otherwise =
  | { readonly kind: "reference"; readonly reference: Reference }
  | { readonly kind: "literal"; readonly text: JsonText };

/** Whether a reference begins here: `$.`, `$[`, or `$<id>.output`. */
export function beginsReference(text: string, at: number): boolean {
  if (text[at] !== "$") return false;
  const next = text[at + 1];
  return next === "." || next === "[" || isShortForm(text, at);
}

function isShortForm(text: string, at: number): boolean {
  shortFormAt.lastIndex = at;
  return shortFormAt.test(text);
}

/** Parses the whole text as one reference, with its defaults. Throws ReferenceSyntaxError. */
export function parseReference(text: string): Reference {
  const parts = text.includes("??") ? splitDefaults(text) : [text];
  if (parts.length === 1) return parseOne(text);
  const last = parts.pop()!.trim();
  let otherwise: Otherwise = beginsReference(last, 0)
    ? { kind: "reference", reference: parseOne(last) }
    : { kind: "literal", text: literalDefault(last, text) };
  for (const part of parts.reverse()) {
    otherwise = { kind: "reference", reference: withDefault(part.trim(), otherwise) };
  }
  return { ...(otherwise as { reference: Reference }).reference, text };
}

function withDefault(text: string, otherwise: Otherwise): Reference {
  if (text !== "" && isJson(text)) fail(`A default follows ${shown(text)}, which always counts.`);
  const reference = parseOne(text);
  if (!reference.definite) {
    fail(`${shown(text)} always finds an array, empty or not, so it takes no default.`);
  }
  const needs = mergeNeeds([reference.needs, needsOfDefault(otherwise)]);
  return { ...reference, otherwise, needs };
}

function literalDefault(text: string, whole: string): JsonText {
  if (isJson(text)) return text;
  const is = text === "" ? "nothing" : shown(text);
  const wanted = 'a reference or a JSON value; text is in quotes: ?? "none"';
  return fail(`After the last ?? of ${shown(whole)} stands ${is} instead of ${wanted}.`);
}

function needsOfDefault(otherwise: Otherwise): Needs {
  return otherwise.kind === "reference" ? otherwise.reference.needs : noNeeds;
}

function parseOne(text: string): Reference {
  if (!beginsReference(text, 0)) {
    fail(`${shown(text)} is not a reference: those begin with $., $[ or $<id>.output.`);
  }
  return referenceTo(text, parsePath(isShortForm(text, 0) ? `$.${text.slice(1)}` : text));
}

/** A reference, and those that stand in for it. */
export function withDefaults(reference: Reference): readonly Reference[] {
  const { otherwise } = reference;
  if (otherwise?.kind !== "reference") return [reference];
  return [reference, ...withDefaults(otherwise.reference)];
}

function referenceTo(text: string, all: readonly PathStep[]): Reference {
  const root = rootOf(all[0]);
  const within = root.kind === "all" ? all : all.slice(1);
  const definite = isDefinite(all);
  const where = whereOf(root, within[0]);
  const steps = where === "output" ? within.slice(1) : within;
  const outer = new Map(
    outerQueries(all).map((query) => [query, referenceTo(query.text, query.steps)]),
  );
  return {
    text,
    definite,
    needs: mergeNeeds([
      needsOf(root, where, within[0]),
      ...[...outer.values()].map((each) => each.needs),
    ]),
    root,
    steps,
    keys: definite ? steps.map((step) => (step as { key: string | number }).key) : [],
    where,
    textName: `${root.kind}:${where}:${root.key ?? ""}`,
    outer,
    otherwise: undefined,
  };
}

/** No action has such an id: see `ownNames` of the kinds. */
const ownNames: ReadonlySet<string> = new Set(["item", "index", "last", "iteration"]);

function rootOf(first: PathStep | undefined): ReferenceRoot {
  if (first?.kind !== "member") return { kind: "all" };
  if (first.key === "input" || first.key === "execution") return { kind: first.key };
  if (ownNames.has(String(first.key))) return { kind: "own", key: String(first.key) };
  return { kind: "action", key: String(first.key) };
}

/** The walk can begin at an action's output, and its facts do without the output. */
function whereOf({ kind }: ReferenceRoot, first: PathStep | undefined): Reference["where"] {
  if (kind !== "action" || first?.kind !== "member") return "root";
  if (first.key === "output") return "output";
  return factNames.includes(String(first.key)) ? "facts" : "root";
}

function needsOf(
  root: ReferenceRoot,
  where: Reference["where"],
  first: PathStep | undefined,
): Needs {
  switch (root.kind) {
    case "input":
      return { outputs: [], input: true };
    case "own":
      return noNeeds;
    case "execution": {
      const failure = first?.kind !== "member" || first.key === "error";
      return failure ? { ...noNeeds, failure } : noNeeds;
    }
    case "action":
      return where === "facts" ? noNeeds : { outputs: [root.key], input: false };
    case "all":
      return { outputs: "all", input: true, failure: true };
  }
}

/** Names of the texts that so many references are looked up in that it repays to index them. */
export function textsToIndex(references: readonly Reference[]): ReadonlySet<string> {
  return namesToIndex(references.flatMap(withDefaults).map(({ textName }) => textName));
}

/**
 * The text of the value, or of the first default that counts; undefined when the last is missing;
 * never for an indefinite path. Throws TooLarge.
 */
export function resolveReference(
  reference: Reference,
  view: Scope,
  work: Work = new Work(),
  indexes: TextIndexes = TextIndexes.none,
): JsonText | undefined {
  work.reading = reference.text;
  const value = resolve(reference, view, work, indexes);
  const { otherwise } = reference;
  if (otherwise === undefined || (value !== undefined && value !== "null")) return value;
  if (otherwise.kind === "literal") return otherwise.text;
  return resolveReference(otherwise.reference, view, work, indexes);
}

function resolve(
  reference: Reference,
  view: Scope,
  work: Work,
  indexes: TextIndexes = TextIndexes.none,
): JsonText | undefined {
  const text = lookedUpIn(reference, view, work);
  if (text === undefined) return reference.definite ? undefined : "[]";
  const { definite, keys, steps, textName } = reference;
  if (definite && (!indexes.keeps(textName) || keys.length === 0)) {
    if (keys.length > 0) work.readText(text);
    return pick(text, keys);
  }
  const index = indexes.of(textName, text, work);
  if (definite) return index.pick(keys);
  return findAll(index, steps, work, (query) => found(reference.outer.get(query)!, view, work));
}

/** Text of what a path in a filter finds; undefined when that is nothing. */
function found(reference: Reference, view: Scope, work: Work): JsonText | undefined {
  const text = resolve(reference, view, work);
  return reference.definite || text !== "[]" ? text : undefined;
}

function lookedUpIn(reference: Reference, view: Scope, work: Work): JsonText | undefined {
  const { root } = reference;
  switch (root.kind) {
    case "input":
      return view.input;
    case "execution":
      return view.execution;
    case "own":
      return view.own?.(root.key);
    case "action":
      if (reference.where === "output") return view.output(root.key);
      if (reference.where === "facts") return view.facts(root.key);
      return actionText(view.output(root.key), view.facts(root.key));
    case "all":
      return wholeText(view, work);
  }
}

/** `$` itself. */
function wholeText(view: Scope, work: Work): JsonText {
  const members = [`"input":${view.input}`];
  for (const key of view.actionKeys()) {
    const text = actionText(view.output(key), view.facts(key));
    if (text !== undefined) members.push(`${JSON.stringify(key)}:${text}`);
  }
  members.push(`"execution":${view.execution}`);
  for (const member of members) work.readText(member);
  return `{${members.join(",")}}`;
}
