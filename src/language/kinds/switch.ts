/** switch: what a reference finds names the route. */
import type { ActionSpec } from "../../model/definition.ts";
import type { Reference } from "../data/reference.ts";
import { mergeNeeds } from "../data/scope.ts";
import { parseWholeReference } from "../data/template.ts";
import { reference } from "../readers/templates.ts";
import type { KindRules, PlanActionBase } from "./kind.ts";

export interface SwitchPlanAction extends PlanActionBase {
  readonly kind: "switch";
  readonly expression: Reference;
}

export const switchKind = {
  fields: [["expression", reference, "Reference to the value that names the route."]],
  required: ["expression"],
  routes: "any",
  compile(spec: ActionSpec & { expression: string }, base: PlanActionBase): SwitchPlanAction {
    const expression = parseWholeReference(spec.expression);
    const needs = mergeNeeds([base.needs, expression.needs]);
    return { ...base, kind: "switch", expression, needs };
  },
} satisfies KindRules;
