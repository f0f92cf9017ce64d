/** switch: the value of a reference names the route, or the first case whose condition holds. */
import { limits } from "../../base/limits.ts";
import type { ActionSpec } from "../../model/definition.ts";
import type { Json } from "../../model/json.ts";
import { type Condition, compileCondition, readsOf } from "../data/condition.ts";
import { type Reference, withDefaults } from "../data/reference.ts";
import { mergeNeeds, noNeeds } from "../data/scope.ts";
import { parseWholeReference } from "../data/template.ts";
import { condition } from "../readers/conditions.ts";
import { isObject, type ReadObject, readObject, text } from "../readers/fields.ts";
import { type FieldList, fieldMap, propertiesOf, reader } from "../readers/reader.ts";
import { below, nearestHint, quoted, type Report, shown } from "../readers/report.ts";
import { reference } from "../readers/templates.ts";
import type { KindRules, PlanActionBase, PlanContext } from "./kind.ts";

export interface SwitchPlanAction extends PlanActionBase {
  readonly kind: "switch";
  readonly expression: Reference | undefined;
  /** Empty where there is an expression. */
  readonly cases: readonly Case[];
  /** Of the conditions of all cases. */
  readonly indexed: ReadonlySet<string>;
}

interface Case {
  readonly when: Condition;
  readonly route: string;
}

interface SwitchSpec extends ActionSpec {
  readonly expression?: string;
  readonly cases?: readonly { readonly when: Json; readonly route: string }[];
}

const named = reader(reference.schema, (value, pointer, report) => {
  const read = reference(value, pointer, report);
  if (typeof read !== "string" || withDefaults(parseWholeReference(read)).every(isOne)) return read;
  report.warning(
    pointer,
    `${quoted(read)} always finds an array: its route is the JSON of the array, such as "[1,2]".`,
  );
  return read;
});
const isOne = ({ definite }: Reference) => definite;

const caseFields: FieldList = [
  ["when", condition, "The condition."],
  ["route", text(limits.routeNameCharsMax), "The route in next if it holds."],
];
const caseRules = { what: "A case", fields: fieldMap(caseFields), required: ["when", "route"] };
const casesSchema = {
  type: "array",
  items: {
    type: "object",
    properties: propertiesOf(caseFields),
    required: caseRules.required,
    additionalProperties: false,
  },
  minItems: 1,
  maxItems: limits.switchCasesMax,
};
const cases = reader(casesSchema, (value, pointer, report) => {
  report.isNew({ pointer, what: "A switch with cases", format: 4 });
  if (Array.isArray(value) && value.length > 0 && value.length <= limits.switchCasesMax) {
    return value.map((one, at) => readObject(one, below(pointer, at), report, caseRules) ?? null);
  }
  const found = Array.isArray(value) ? `${value.length}` : shown(value);
  report.problem(pointer, `It must list 1 to ${limits.switchCasesMax} cases, not ${found}.`);
  return undefined;
});

/** In definitions before this format `strict` has no effect on a switch. */
const strictFormat = 4;

function checkSwitch(action: ReadObject, pointer: string, report: Report): void {
  if (action.strict === true) {
    report.isNew({
      pointer: below(pointer, "strict"),
      what: "A strict switch",
      format: strictFormat,
    });
  }
  checkCases(action, pointer, report);
}

/** Routes of cases are known beforehand; those that an expression names are not. */
function checkCases(action: ReadObject, pointer: string, report: Report): void {
  if (!Array.isArray(action.cases)) return;
  const next = isObject(action.next) ? Object.keys(action.next) : [];
  const routes = new Set(["default"]);
  for (const [at, one] of (action.cases as readonly Json[]).entries()) {
    if (!isObject(one) || typeof one.route !== "string") continue;
    const { route } = one;
    routes.add(route);
    if (next.includes(route)) continue;
    report.problem(below(below(below(pointer, "cases"), at), "route"), () => {
      return `There is no route ${quoted(route)} in next${nearestHint(route, next)}.`;
    });
  }
  for (const route of next) {
    if (routes.has(route)) continue;
    const at = below(below(pointer, "next"), route);
    report.superfluous(at, `It is never taken: no case has the route ${quoted(route)}.`);
  }
}

export const switchKind = {
  fields: [
    ["expression", named, "Reference to the value that names the route."],
    ["cases", cases, "Conditions, each with a route; the first that holds counts."],
  ],
  either: ["expression", "cases"],
  routes: "any",
  check: checkSwitch,
  failures: ["NO_MATCHING_ROUTE"],
  compile(spec: SwitchSpec, base: PlanActionBase, { format }: PlanContext): SwitchPlanAction {
    const expression =
      spec.expression === undefined ? undefined : parseWholeReference(spec.expression);
    const compiled = (spec.cases ?? []).map(({ when, route }) => ({
      when: compileCondition(when),
      route,
    }));
    const { needs: read, indexed } = readsOf(compiled.map(({ when }) => when));
    const needs = mergeNeeds([base.needs, read, expression?.needs ?? noNeeds]);
    const strict = base.strict && format >= strictFormat;
    return { ...base, kind: "switch", strict, expression, cases: compiled, indexed, needs };
  },
} satisfies KindRules;
