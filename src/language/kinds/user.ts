/** Actions that workers do, by the names that they register. */
import { actionName } from "../readers/fields.ts";
import { objectTemplate } from "../readers/templates.ts";
import type { KindRules, PlanActionBase, PlanContext } from "./kind.ts";
import { compileTask, type TaskPlanAction, type TaskSpec, taskFields } from "./task.ts";

export interface UserPlanAction extends TaskPlanAction {
  readonly kind: "user";
}

export const user = {
  fields: [
    ["name", actionName, "The name by which workers poll for it."],
    [
      "parameters",
      objectTemplate,
      "Template for the input of its tasks: an object, or a reference to one.",
    ],
    ...taskFields,
  ],
  compile: (spec: TaskSpec, base: PlanActionBase, of: PlanContext): UserPlanAction => ({
    ...compileTask(spec, base, of),
    kind: "user",
  }),
} satisfies KindRules;
