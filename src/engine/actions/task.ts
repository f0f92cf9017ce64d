/** Kinds that run as tasks: the attempts are made at the action itself. */
import type { PlanAction } from "../../language/kinds/table.ts";
import type { TaskPlanAction } from "../../language/kinds/task.ts";
import { type ActionRecord, type ExecutionState, runOfIds } from "../../model/execution.ts";
import { formatTaskId } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import type { Draft } from "../decision/draft.ts";
import { ActionSubject, endBackoff } from "./action-subject.ts";
import {
  applyLeaseExpiry,
  applyQueueTimeout,
  applyResult,
  endTotalTime,
  offer,
} from "./attempts.ts";
import { withNeeds } from "./common.ts";
import type { ActionRules } from "./rules.ts";

type TaskAction = PlanAction & TaskPlanAction;

/** The rules of a kind that runs as tasks. `parametersOf` returns undefined after it has failed it. */
export function taskRules<Action extends TaskAction>(
  parametersOf: (draft: Draft, action: Action) => JsonText | undefined,
): ActionRules<Action> {
  const start = (draft: Draft, action: Action) => {
    const parameters = parametersOf(draft, action);
    if (parameters !== undefined) offer(new ActionSubject(draft, action), { parameters });
  };
  return {
    start,
    timers: {
      retry: endBackoff,
      total: (draft, action, timer) => endTotalTime(new ActionSubject(draft, action), timer),
    },
    events: {
      result: (draft, action, event, handout) =>
        applyResult(new ActionSubject(draft, action), event, handout),
      "lease-expired": (draft, action, event, handout) =>
        applyLeaseExpiry(new ActionSubject(draft, action), event, handout),
      "queue-timeout": (draft, action, _event, handout) =>
        applyQueueTimeout(new ActionSubject(draft, action), handout),
    },
    waits: ({ status }) => (status === "RETRYING" ? "backoff" : "task"),
    owns: (state, action, record) => ({ task: ownTask(state, action, record) }),
    /** The same attempt under a new hand-out: a worker that holds the lost one is fenced off. */
    replaceTask(draft, action) {
      const record = draft.record(action.index);
      draft.setRecord(action.index, { ...record, attempt: (record.attempt ?? 1) - 1 });
      withNeeds(draft, action, () => start(draft, action));
    },
  };
}

/** Between two attempts there is none. */
function ownTask(
  state: ExecutionState,
  { key: actionKey }: TaskPlanAction,
  { status, handout }: ActionRecord,
): string | undefined {
  if (status === "RETRYING" || handout === undefined) return undefined;
  return formatTaskId({ executionId: state.id, run: runOfIds(state), handout, actionKey });
}
