/** What is the same for all kinds that are offered to workers as tasks. */
import { defined } from "../../base/defined.ts";
import type { ActionSpec, RetrySpec } from "../../model/definition.ts";
import { queueKey } from "../../model/ids.ts";
import { beginHeader } from "../../model/task-header.ts";
import type { PlanActionBase, PlanContext } from "./kind.ts";

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
