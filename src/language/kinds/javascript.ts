/** javascript: a script makes the output, and may choose the route. */
import type { ActionSpec } from "../../model/definition.ts";
import { script } from "../readers/templates.ts";
import type { KindRules, PlanActionBase, PlanContext } from "./kind.ts";

export interface JavascriptPlanAction extends PlanActionBase {
  readonly kind: "javascript";
  readonly expression: string;
  /** Whether the code of a thrown `{code, message}` is that of the failure. */
  readonly throwsCodes: boolean;
}

/** Definitions before this format may route whatever a script throws by SCRIPT_ERROR. */
const codesFormat = 4;

export const javascript = {
  fields: [["expression", script, "The script; `$` is its copy of the data."]],
  required: ["expression"],
  routes: "any",
  script: "expression",
  compile: (
    { expression }: ActionSpec & { expression: string },
    base: PlanActionBase,
    { ancestors, format }: PlanContext,
  ): JavascriptPlanAction => ({
    ...base,
    kind: "javascript",
    expression,
    throwsCodes: format >= codesFormat,
    needs: { outputs: ancestors(), input: true, failure: true },
  }),
} satisfies KindRules;
