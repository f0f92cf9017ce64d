/**
 * Checks definitions before they are saved: everything that can be known to be wrong is refused,
 * and all of it is reported at once, each with its place and what would be right.
 */
import type { Problem } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import type { ActionDefinition, WorkflowDefinition } from "../../model/definition.ts";
import type { Json } from "../../model/json.ts";
import { type ReadObject, readObject } from "../readers/fields.ts";
import { fieldMap, type Read } from "../readers/reader.ts";
import { below, type NewThing, quoted, Report, shown } from "../readers/report.ts";
import { readActionDefinition } from "./action-definition.ts";
import { readAction } from "./actions.ts";
import { foreignDefinition } from "./foreign.ts";
import { checkGraph, type ReadAction } from "./graph-rules.ts";
import {
  inlineFields,
  inlineRequired,
  workflowFields,
  workflowRequired,
} from "./workflow-fields.ts";

export interface CheckedDefinition {
  /** Letter case and old names made uniform; undefined when there are problems. */
  readonly definition: WorkflowDefinition | undefined;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
  /** Scripts: only the sandbox can check whether they parse. */
  readonly scripts: readonly { pointer: string; expression: string }[];
  /** Other workflows that are named: whether there are any, only the catalogue can tell. */
  readonly workflows: readonly { readonly pointer: string; readonly name: string }[];
  /** Moments that delays wait for: whether they are too far away, only a clock can tell. */
  readonly moments: readonly { readonly pointer: string; readonly at: number }[];
  /** Where the first number stands that a double would round. */
  readonly exactNumber: string | undefined;
  readonly newThings: readonly NewThing[];
}

/** Checks a workflow definition as sent; all problems have a JSON pointer. It never throws. */
export function checkDefinition(
  value: unknown,
  options: { lenient: boolean; knownActions?: ReadonlySet<string> },
): CheckedDefinition {
  const report = new Report(options.lenient);
  const foreign = foreignDefinition(value);
  if (foreign !== undefined) report.problem("", foreign);
  const isReadable = foreign === undefined && fits(value, report);
  const definition = isReadable ? readDefinition(value, report, options.knownActions) : undefined;
  return {
    definition: report.failed ? undefined : definition,
    problems: report.problems,
    warnings: report.warnings,
    scripts: report.scripts,
    workflows: report.workflows,
    moments: report.moments,
    exactNumber: report.exactNumber,
    newThings: report.newThings,
  };
}

/** The same for the definition of a user action. */
export function checkActionDefinition(
  value: unknown,
  options: { lenient: boolean },
): {
  definition: ActionDefinition | undefined;
  problems: readonly Problem[];
  warnings: readonly Problem[];
  newThings: readonly NewThing[];
} {
  const report = new Report(options.lenient);
  const read = fits(value, report) ? readActionDefinition(value, report) : undefined;
  const { problems, warnings, newThings } = report;
  // The readers have made sure of every field.
  const definition = report.failed ? undefined : (read as unknown as ActionDefinition);
  return { definition, problems, warnings, newThings };
}

const workflowRules = {
  what: "A workflow",
  fields: fieldMap(workflowFields),
  required: workflowRequired,
};
const inlineRules = {
  what: "An inline definition",
  fields: fieldMap(inlineFields),
  required: inlineRequired,
};

type KnownActions = ReadonlySet<string> | undefined;

function readDefinition(
  value: unknown,
  report: Report,
  knownActions: KnownActions,
): WorkflowDefinition | undefined {
  report.readInline = (inline, pointer) => readInline(inline, pointer, report, knownActions);
  const read = readBody(value, { pointer: "", report, rules: workflowRules, knownActions });
  if (read === undefined) return undefined;
  const { version: _given, ...definition } = read;
  // The readers have made sure of every field.
  return definition as unknown as WorkflowDefinition;
}

/** A definition inside an action: its ids and references are its own. */
function readInline(
  value: unknown,
  pointer: string,
  report: Report,
  knownActions: KnownActions,
): ReadObject | undefined {
  const nesting = pointer.match(/\/definition(?=\/|$)/g)?.length ?? 0;
  if (nesting > limits.nestingMax) {
    report.problem(pointer, `Inline definitions nest at most ${limits.nestingMax} deep.`);
    return undefined;
  }
  const kept = report.references.length;
  const read = readBody(value, { pointer, report, rules: inlineRules, knownActions });
  report.forgetReferences(kept);
  return read;
}

interface BodyOptions {
  readonly pointer: string;
  readonly report: Report;
  readonly rules: typeof workflowRules;
  readonly knownActions: KnownActions;
}

/** What has actions, with all that spans them. */
function readBody(
  value: unknown,
  { pointer, report, rules, knownActions }: BodyOptions,
): ReadObject | undefined {
  const actions: ReadAction[] = [];
  const fields = new Map([...rules.fields, ["actions", actionsReader(actions)]]);
  const before = report.references.length;
  const read = readObject(value, pointer, report, { ...rules, fields });
  if (read === undefined) return undefined;
  const own = new Set(actions.flatMap((action) => action.references));
  const references = report.references.slice(before).filter((found) => !own.has(found));
  if (actions.length > 0) {
    checkGraph({ pointer, actions, rootAction: read.rootAction, references }, report);
  }
  if (knownActions !== undefined) warnOfUnregistered(actions, knownActions, report);
  return read;
}

/** Reads the actions, and keeps of each what the graph is checked by. */
function actionsReader(actions: ReadAction[]): Read {
  return (value, pointer, report) => {
    if (!Array.isArray(value) || value.length === 0) {
      report.problem(pointer, `It must be an array of actions, not ${shown(value)}.`);
      return undefined;
    }
    if (value.length > limits.definitionActionsMax) {
      const most = limits.definitionActionsMax;
      report.problem(pointer, `It has ${value.length} actions; at most ${most} are allowed.`);
      return undefined;
    }
    const specs: Json[] = [];
    for (const [index, item] of value.entries()) {
      const at = below(pointer, index);
      const before = report.references.length;
      const spec = readAction(item, at, report);
      if (spec === undefined) continue;
      specs.push(spec);
      actions.push({ pointer: at, spec, references: report.references.slice(before) });
    }
    return specs;
  };
}

function warnOfUnregistered(
  actions: readonly ReadAction[],
  knownActions: ReadonlySet<string>,
  report: Report,
): void {
  const reported = new Set<string>();
  for (const { pointer, spec } of actions) {
    const field = spec.type === "user" ? "name" : "action";
    const name = spec[field];
    if (typeof name !== "string" || knownActions.has(name) || reported.has(name)) continue;
    reported.add(name);
    report.warning(below(pointer, field), () => {
      const hint = report.hintAmongMany(name, [...knownActions].slice(0, 1_000));
      return `No worker has registered ${quoted(name)} so far${hint}. Its tasks will wait for one.`;
    });
  }
}

interface Nested {
  readonly value: object;
  readonly depth: number;
  readonly parent: Nested | undefined;
  readonly key: string | number;
}

/** Bounds that all other checks rely on: depth, and size. */
function fits(value: unknown, report: Report): boolean {
  const tooDeep = findTooDeep(value);
  if (tooDeep !== undefined) {
    const message = `It is nested deeper than ${limits.jsonDepthMax} levels.`;
    report.problem(pointerOf(tooDeep), message);
    return false;
  }
  const text = JSON.stringify(value) ?? "";
  const bytes = text.length > limits.definitionBytesMax / 3 ? Buffer.byteLength(text) : text.length;
  if (bytes <= limits.definitionBytesMax) return true;
  const most = limits.definitionBytesMax;
  report.problem("", `The definition has ${bytes} bytes as JSON; at most ${most} are allowed.`);
  return false;
}

function findTooDeep(value: unknown): Nested | undefined {
  const open: Nested[] = [];
  const add = (inner: unknown, parent: Nested | undefined, key: string | number) => {
    if (typeof inner !== "object" || inner === null) return;
    open.push({ value: inner, depth: (parent?.depth ?? 0) + 1, parent, key });
  };
  add(value, undefined, "");
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (next.depth > limits.jsonDepthMax) return next;
    if (Array.isArray(next.value)) {
      for (const [index, item] of next.value.entries()) add(item, next, index);
    } else {
      for (const [key, member] of Object.entries(next.value)) add(member, next, key);
    }
  }
  return undefined;
}

function pointerOf(nested: Nested): string {
  const keys: (string | number)[] = [];
  for (let at: Nested = nested; at.parent !== undefined; at = at.parent) keys.push(at.key);
  return keys.reverse().reduce<string>(below, "");
}
