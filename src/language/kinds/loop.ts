/** loop: repeats a workflow while a condition holds. */
import type { ActionSpec } from "../../model/definition.ts";
import { integer, plainName, version } from "../readers/fields.ts";
import { script } from "../readers/templates.ts";
import type { KindRules, PlanActionBase } from "./kind.ts";

interface LoopPlanAction extends PlanActionBase {
  readonly kind: "loop";
}

export const loop = {
  fields: [
    ["workflow", plainName, "The workflow that is repeated."],
    ["version", version, "Its version; by default the newest."],
    ["while", script, "Script that is asked before each round."],
    ["maxIterations", integer(1, Number.MAX_SAFE_INTEGER), "Most rounds."],
  ],
  required: ["workflow", "while", "maxIterations"],
  ownNames: ["last", "iteration"],
  isBuilt: false,
  compile: (_: ActionSpec, base: PlanActionBase): LoopPlanAction => ({ ...base, kind: "loop" }),
} satisfies KindRules;
