/** transform: its output is its parameters. */
import type { ActionSpec } from "../../model/definition.ts";
import type { KindRules, PlanActionBase } from "./kind.ts";

export interface TransformPlanAction extends PlanActionBase {
  readonly kind: "transform";
}

export const transform = {
  aliases: ["jsonmapper"],
  fields: [],
  failures: [],
  compile: (_: ActionSpec, base: PlanActionBase): TransformPlanAction => ({
    ...base,
    kind: "transform",
  }),
} satisfies KindRules;
