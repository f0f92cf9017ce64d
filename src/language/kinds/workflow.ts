/** workflow: runs another workflow, and waits for it. */
import type { ActionSpec } from "../../model/definition.ts";
import { plainName, version } from "../readers/fields.ts";
import type { KindRules, PlanActionBase } from "./kind.ts";

export interface WorkflowPlanAction extends PlanActionBase {
  readonly kind: "workflow";
}

export const workflow = {
  fields: [
    ["workflow", plainName, "The workflow to run."],
    ["version", version, "Its version; by default the newest."],
  ],
  required: ["workflow"],
  isBuilt: false,
  compile: (_: ActionSpec, base: PlanActionBase): WorkflowPlanAction => ({
    ...base,
    kind: "workflow",
  }),
} satisfies KindRules;
