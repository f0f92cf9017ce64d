/**
 * References into an execution's data: `$.input.a`, `$.1.output.b`, `$price.output.total`. Plain
 * member paths, nearly all of them, run as a walk over the text that was compiled at registration.
 */
import type { JsonText } from "../../model/json.ts";
import { findAll } from "./find-all.ts";
import { pick } from "./json-text.ts";
import { parsePath, shortFormAt } from "./path.ts";
import { type FilterQuery, isDefinite, outerQueries, type PathStep } from "./path-step.ts";
import { ReferenceSyntaxError } from "./path-text.ts";
import { mergeNeeds, type Needs, type Scope } from "./scope.ts";
import { TextIndex } from "./text-index.ts";
import { Work } from "./work.ts";

export { ReferenceSyntaxError };

/** What the first step after `$` names. `all`: it ranges over `$`, or is `$` itself. */
export type ReferenceRoot =
  | { readonly kind: "input"; readonly key?: undefined }
  | { readonly kind: "execution"; readonly key?: undefined }
  | { readonly kind: "action"; readonly key: string }
  | { readonly kind: "all"; readonly key?: undefined };

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
  /** Text that the steps or keys are looked up in: the root's own, or an action's output. */
  readonly where: "root" | "output";
  /** The same for all references that are looked up in the same text. */
  readonly textName: string;
  /** What the paths in its filters that begin with `$` refer to. */
  readonly outer: ReadonlyMap<FilterQuery, Reference>;
}

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

/** Parses the whole text as one reference. Throws ReferenceSyntaxError. */
export function parseReference(text: string): Reference {
  if (!beginsReference(text, 0)) {
    throw new ReferenceSyntaxError(
      `${JSON.stringify(text)} is not a reference: those begin with $., $[ or $<id>.output.`,
    );
  }
  return referenceTo(text, parsePath(isShortForm(text, 0) ? `$.${text.slice(1)}` : text));
}

function referenceTo(text: string, all: readonly PathStep[]): Reference {
  const root = rootOf(all[0]);
  const within = root.kind === "all" ? all : all.slice(1);
  const definite = isDefinite(all);
  // An action's only member is its output: the walk can begin there.
  const first = within[0];
  const inOutput = root.kind === "action" && first?.kind === "member" && first.key === "output";
  const steps = inOutput ? within.slice(1) : within;
  const outer = new Map(
    outerQueries(all).map((query) => [query, referenceTo(query.text, query.steps)]),
  );
  return {
    text,
    definite,
    needs: mergeNeeds([needsOf(root), ...[...outer.values()].map((each) => each.needs)]),
    root,
    steps,
    keys: definite ? steps.map((step) => (step as { key: string | number }).key) : [],
    where: inOutput ? "output" : "root",
    textName: `${root.kind}:${inOutput ? "output" : "root"}:${root.key ?? ""}`,
    outer,
  };
}

function rootOf(first: PathStep | undefined): ReferenceRoot {
  if (first?.kind !== "member") return { kind: "all" };
  if (first.key === "input" || first.key === "execution") return { kind: first.key };
  return { kind: "action", key: String(first.key) };
}

function needsOf(root: ReferenceRoot): Needs {
  switch (root.kind) {
    case "input":
      return { outputs: [], input: true };
    case "execution":
      return { outputs: [], input: false };
    case "action":
      return { outputs: [root.key], input: false };
    case "all":
      return { outputs: "all", input: true };
  }
}

/** Indexes of the texts that several references of a template are looked up in, by their names. */
export type TextIndexes = Map<string, TextIndex>;

/**
 * The text of the value, or undefined when it is missing; never for an indefinite path. Throws
 * TooLarge.
 */
export function resolveReference(
  reference: Reference,
  view: Scope,
  work: Work = new Work(),
  indexes?: TextIndexes,
): JsonText | undefined {
  work.reading = reference.text;
  return resolve(reference, view, work, indexes);
}

function resolve(
  reference: Reference,
  view: Scope,
  work: Work,
  indexes?: TextIndexes,
): JsonText | undefined {
  const text = lookedUpIn(reference, view, work);
  if (text === undefined) return reference.definite ? undefined : "[]";
  const { definite, keys, steps } = reference;
  if (definite && (indexes === undefined || keys.length === 0)) {
    if (keys.length > 0) work.readText(text);
    return pick(text, keys);
  }
  let index = indexes?.get(reference.textName);
  if (index === undefined) {
    index = new TextIndex(text, work);
    indexes?.set(reference.textName, index);
  }
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
    case "action": {
      const output = view.output(root.key);
      if (output === undefined || reference.where === "output") return output;
      return `{"output":${output}}`;
    }
    case "all":
      return wholeText(view, work);
  }
}

/** `$` itself. */
function wholeText(view: Scope, work: Work): JsonText {
  const members = [`"input":${view.input}`];
  for (const key of view.outputKeys()) {
    const output = view.output(key);
    if (output !== undefined) members.push(`${JSON.stringify(key)}:{"output":${output}}`);
  }
  members.push(`"execution":${view.execution}`);
  for (const member of members) work.readText(member);
  return `{${members.join(",")}}`;
}
