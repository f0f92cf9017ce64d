/** map: an action, a workflow or an inline definition for each item of an array. */
import { limits } from "../../base/limits.ts";
import type { ActionSpec, RetrySpec } from "../../model/definition.ts";
import { cut } from "../data/cut.ts";
import { type Reference, withDefaults } from "../data/reference.ts";
import { mergeNeeds, noNeeds } from "../data/scope.ts";
import { compileTemplate, parseWholeReference, type Template } from "../data/template.ts";
import { actionName, integer } from "../readers/fields.ts";
import { reader } from "../readers/reader.ts";
import { below, quoted, type Report, shown } from "../readers/report.ts";
import { mustBeObject, reference } from "../readers/templates.ts";
import {
  type ChildTarget,
  checkVersion,
  childFields,
  childRetry,
  childTargets,
  compileTarget,
} from "./child.ts";
import type { KindRules, PlanActionBase, PlanContext } from "./kind.ts";
import { compileTask, type TaskPlanAction, type TaskSpec, taskFields } from "./task.ts";

export interface MapPlanAction extends PlanActionBase {
  readonly kind: "map";
  readonly items: Reference;
  /** Resolved for each item; `needs` is what it reads. */
  readonly parameters: Template;
  /** The parameters are the item itself. */
  readonly passesItem: boolean;
  /** What each item is offered by, or what its child runs. */
  readonly itemTask: TaskPlanAction | undefined;
  readonly target: ChildTarget | undefined;
  /** How children are repeated. */
  readonly retry: RetrySpec;
  readonly maxConcurrency: number;
  readonly tolerate: Tolerance;
}

/** How many items may fail: a number, or a share of all. */
type Tolerance = { readonly count: number } | { readonly percent: number };

export function toleratedOf(tolerate: Tolerance, items: number): number {
  if ("count" in tolerate) return tolerate.count;
  // A hair more, as 29 % of 100 must be 29.
  return Math.floor((items * tolerate.percent) / 100 + 1e-9);
}

interface MapSpec extends TaskSpec {
  readonly items: string;
  readonly action?: string;
  readonly maxConcurrency?: number;
  readonly tolerate?: number | string;
}

const share = /^(?:100(?:\.0+)?|\d{1,2}(?:\.\d+)?)%$/;
const toleratedSchema = {
  anyOf: [
    { type: "integer", minimum: 0 },
    { type: "string", pattern: share.source },
  ],
};
const tolerated = reader(toleratedSchema, (value, pointer, report) => {
  if (typeof value === "string" && share.test(value)) return value;
  if (Number.isInteger(value) && Number(value) >= 0) return Number(value);
  report.problem(pointer, `It must be a number or a share such as "20%", not ${shown(value)}.`);
  return undefined;
});

function warnOfItems(items: unknown, pointer: string, report: Report): void {
  if (typeof items !== "string") return;
  const all = withDefaults(parseWholeReference(items));
  const last = all.at(-1)?.otherwise;
  if (all.some(({ definite }) => !definite)) {
    const found = "which is empty where there is nothing: such a map completes at once";
    report.warning(pointer, `${quoted(items)} always finds an array, ${found}.`);
  } else if (last?.kind === "literal" && !last.text.startsWith("[")) {
    const failure = "with it the map fails with ITEMS_INVALID";
    report.warning(pointer, `The default ${cut(last.text)} is no array: ${failure}.`);
  }
}

export const map = {
  fields: [
    ["items", reference, "Reference to the array."],
    ["action", actionName, "User action for each item."],
    ...childFields,
    ["maxConcurrency", integer(1, limits.mapConcurrencyMax), "Most items at the same time."],
    ["tolerate", tolerated, "Failures that are tolerated: a number, or a share such as 20%."],
    ...taskFields,
  ],
  required: ["items"],
  either: ["action", ...childTargets],
  check(action, pointer, report) {
    checkVersion(action, pointer, report);
    warnOfItems(action.items, below(pointer, "items"), report);
    // Workers take objects, children any value.
    if (action.action === undefined || action.parameters === undefined) return;
    mustBeObject(action.parameters, below(pointer, "parameters"), report);
  },
  ownNames: ["item", "index"],
  repeats: "items",
  format: 4,
  compile(spec: MapSpec & ActionSpec, base: PlanActionBase, of: PlanContext): MapPlanAction {
    const { action, tolerate = 0, maxConcurrency = limits.mapConcurrencyDefault } = spec;
    const passesItem = spec.parameters === undefined || spec.parameters === "$.item";
    const parameters = base.parameters ?? compileTemplate("$.item");
    const items = parseWholeReference(spec.items);
    // What `items` reads is loaded once, and not for each item.
    const { failure = false } = items.needs;
    return {
      ...base,
      kind: "map",
      items,
      parameters,
      passesItem,
      needs: mergeNeeds([parameters.needs, { ...noNeeds, failure }]),
      target: action === undefined ? compileTarget(spec, of) : undefined,
      retry: childRetry(spec),
      itemTask: action && compileTask(spec, { ...base, type: "user", name: action }, of),
      // Earlier versions saved larger ones.
      maxConcurrency: Math.min(maxConcurrency, limits.mapConcurrencyMax),
      tolerate:
        typeof tolerate === "string"
          ? { percent: Number(tolerate.slice(0, -1)) }
          : { count: tolerate },
    } as MapPlanAction;
  },
} satisfies KindRules;
