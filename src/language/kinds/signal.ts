/** signal: sends an event to another execution. */
import type { ActionSpec } from "../../model/definition.ts";
import { eventName } from "../readers/fields.ts";
import { template } from "../readers/templates.ts";
import type { KindRules, PlanActionBase } from "./kind.ts";

interface SignalPlanAction extends PlanActionBase {
  readonly kind: "signal";
}

export const signal = {
  fields: [
    ["executionId", template, "Template for the execution that gets the signal."],
    ["event", eventName, "The name of the event."],
    ["payload", template, "Template for what the signal carries."],
  ],
  required: ["executionId", "event"],
  isBuilt: false,
  compile: (_: ActionSpec, base: PlanActionBase): SignalPlanAction => ({
    ...base,
    kind: "signal",
  }),
} satisfies KindRules;
