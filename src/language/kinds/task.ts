/** What is the same for all kinds that are offered to workers as tasks. */
import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import type { ActionSpec, RetrySpec } from "../../model/definition.ts";
import { queueKey } from "../../model/ids.ts";
import { beginHeader } from "../../model/task-header.ts";
import { integer, queueName } from "../readers/fields.ts";
import type { FieldList } from "../readers/reader.ts";
import { retry, timeoutFields } from "../readers/user-rules.ts";
import type { PlanActionBase, PlanContext } from "./kind.ts";

/** How the tasks of a user action, or of each item, are offered and repeated. */
export const taskFields: FieldList = [
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
];

export interface TaskPlanAction extends PlanActionBase {
  readonly queue: string;
  /** `queueKey(queue, name)` */
  readonly queueKey: string;
  readonly priority: number;
  /** What is the same in the header of all its tasks: see model/task-header.ts. */
  readonly headerStart: string;
  /** What the workflow says; the rest comes from the action definition, then from limits.ts. */
  readonly overrides: TaskOverrides;
}

export interface TaskOverrides extends RetrySpec {
  readonly timeoutSeconds?: number;
  readonly heartbeatSeconds?: number;
  readonly queueTimeoutSeconds?: number;
  readonly totalTimeoutSeconds?: number;
}

export interface TaskSpec extends ActionSpec {
  readonly queue?: string;
  readonly priority?: number;
  readonly timeoutSeconds?: number;
  readonly heartbeatSeconds?: number;
  readonly queueTimeoutSeconds?: number;
  readonly totalTimeoutSeconds?: number;
}

/** What the tasks of an action are offered by: its own rules, or those of each of its items. */
export function taskOf(action: PlanActionBase): TaskPlanAction | undefined {
  if (isTaskAction(action)) return action;
  return (action as { readonly itemTask?: TaskPlanAction }).itemTask;
}

export function isTaskAction<Action extends PlanActionBase>(
  action: Action,
): action is Action & TaskPlanAction {
  return "queueKey" in action;
}

export function compileTask(
  spec: TaskSpec,
  base: PlanActionBase,
  { workflow, version }: PlanContext,
): TaskPlanAction {
  const { queue = "default", priority = 0, retry } = spec;
  const { timeoutSeconds, heartbeatSeconds, queueTimeoutSeconds, totalTimeoutSeconds } = spec;
  const { key: actionKey, id: actionId, number: actionNumber, name } = base;
  return {
    ...base,
    queue,
    queueKey: queueKey(queue, name),
    priority,
    headerStart: beginHeader({ workflow, version, actionKey, actionId, actionNumber, name }),
    overrides: {
      ...(retry as RetrySpec | undefined),
      ...defined({ timeoutSeconds, heartbeatSeconds, queueTimeoutSeconds, totalTimeoutSeconds }),
    },
  };
}
