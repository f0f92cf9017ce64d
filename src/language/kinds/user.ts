/** Actions that workers do, by the names that they register. */
import { limits } from "../../base/limits.ts";
import { actionName, integer, queueName } from "../readers/fields.ts";
import { objectTemplate } from "../readers/templates.ts";
import { retry, timeoutFields } from "../readers/user-rules.ts";
import type { KindRules, PlanActionBase, PlanContext } from "./kind.ts";
import { compileTask, type TaskPlanAction, type TaskSpec } from "./task.ts";

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
    ["queue", queueName, "Which workers may take it; `default` when absent."],
    [
      "retry",
      retry,
      "How failed attempts are repeated; what is absent comes from the action's definition.",
    ],
    ...timeoutFields,
    [
      "priority",
      integer(limits.priorityMin, limits.priorityMax),
      "A task of a higher priority is handed out first; default 0.",
    ],
  ],
  compile: (spec: TaskSpec, base: PlanActionBase, of: PlanContext): UserPlanAction => ({
    ...compileTask(spec, base, of),
    kind: "user",
  }),
} satisfies KindRules;
