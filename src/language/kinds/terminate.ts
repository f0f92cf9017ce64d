/** terminate: ends the execution at once. */
import type { ActionSpec } from "../../model/definition.ts";
import { oneOf } from "../readers/fields.ts";
import { template } from "../readers/templates.ts";
import type { KindRules, PlanActionBase } from "./kind.ts";

export interface TerminatePlanAction extends PlanActionBase {
  readonly kind: "terminate";
}

export const terminate = {
  fields: [
    ["status", oneOf(["COMPLETED", "FAILED"]), "How the execution ends."],
    ["output", template, "Template for the result of the execution."],
    ["reason", template, "Template for why it ends."],
  ],
  required: ["status"],
  isBuilt: false,
  compile: (_: ActionSpec, base: PlanActionBase): TerminatePlanAction => ({
    ...base,
    kind: "terminate",
  }),
} satisfies KindRules;
