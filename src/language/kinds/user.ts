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
    ["name", actionName],
    ["parameters", objectTemplate],
    ["queue", queueName],
    ["retry", retry],
    ...timeoutFields,
    ["priority", integer(limits.priorityMin, limits.priorityMax)],
  ],
  compile: (spec: TaskSpec, base: PlanActionBase, of: PlanContext): UserPlanAction => ({
    ...compileTask(spec, base, of),
    kind: "user",
  }),
} satisfies KindRules;
