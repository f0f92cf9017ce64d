/** javascript: a script makes the output, and may choose the route. */
import type { ActionSpec } from "../../model/definition.ts";
import { script } from "../readers/templates.ts";
import type { KindRules, PlanActionBase, PlanContext } from "./kind.ts";

export interface JavascriptPlanAction extends PlanActionBase {
  readonly kind: "javascript";
  readonly expression: string;
}

export const javascript = {
  fields: [["expression", script, "The script; `$` is its copy of the data."]],
  required: ["expression"],
  routes: "any",
  script: "expression",
  compile: (
    { expression }: ActionSpec & { expression: string },
    base: PlanActionBase,
    { ancestors }: PlanContext,
  ): JavascriptPlanAction => ({
    ...base,
    kind: "javascript",
    expression,
    needs: { outputs: ancestors(), input: true, failure: true },
  }),
} satisfies KindRules;
