/**
 * retry: a new run, in which the failures that ended the execution start anew, and what was cancelled
 * with them. Failures that were handled stand, and so do outputs and answered waits.
 */
import { defined } from "../../base/defined.ts";
import type { PlanAction } from "../../language/kinds/table.ts";
import type { EventAnswer } from "../../model/event.ts";
import type { ActionRecord, ExecutionStatus } from "../../model/execution.ts";
import type { Draft } from "../decision/draft.ts";
import { isUnmetJoin } from "../decision/recovery.ts";
import { beginRun, endedUnhandled, newRunFormat, startAnew } from "./new-run.ts";
import { handDetails, type OperationRules } from "./rules.ts";

const retried: ReadonlySet<ExecutionStatus> = new Set(["FAILED", "TIMED_OUT", "CANCELLED"]);

export const retry: OperationRules<"retry"> = {
  format: newRunFormat,
  beginsRun: true,
  refusal(draft) {
    const { status } = draft.state;
    if (!retried.has(status)) {
      const message = `Only executions that are ${[...retried].join(", ")} can be retried; it is ${status}.`;
      return { type: "invalid-state", message };
    }
    return refusalOfAny(draft);
  },
  apply(draft, event) {
    beginRun(draft);
    const details = handDetails(event, { run: draft.state.run });
    draft.log("execution.retried", undefined, undefined, details);
    startAnew(
      draft,
      draft.plan.actions.filter(({ index }) => endedUnhandled(draft.record(index))),
    );
  },
};

/** One action may keep a retry from leading anywhere else. */
function refusalOfAny(draft: Draft): EventAnswer | undefined {
  for (const action of draft.plan.actions) {
    const record = draft.record(action.index);
    const message = faultOf(action, record);
    if (message === undefined) continue;
    return { type: "invalid-state", message, ...defined({ actionStatus: record.status }) };
  }
  return undefined;
}

function faultOf({ kind, key }: PlanAction, record: ActionRecord): string | undefined {
  if (kind === "terminate" && record.status === "COMPLETED") {
    return `The action ${key} has terminated the execution; use rerun from an action before it.`;
  }
  if (endedUnhandled(record) && isUnmetJoin(record)) {
    return `The join of the action ${key} is still not met; use rerun from an action before it.`;
  }
  return undefined;
}
