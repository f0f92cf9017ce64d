/**
 * retry: a new run, in which the failures that ended the execution start anew, and what was cancelled
 * with them. Failures that were handled stand, and so do outputs and answered waits.
 */
import type { ExecutionStatus } from "../../model/execution.ts";
import { tellRunsAgain } from "../decision/children.ts";
import { beginRun, newRunFormat, refusalOfAny, startAnew } from "./new-run.ts";
import { handDetails, type OperationRules } from "./rules.ts";

const retried: ReadonlySet<ExecutionStatus> = new Set(["FAILED", "TIMED_OUT", "CANCELLED"]);

export const retry: OperationRules<"retry"> = {
  format: newRunFormat,
  beginsRun: true,
  refusal(draft) {
    const { status } = draft.state;
    if (retried.has(status))
      return refusalOfAny(({ index }) => draft.record(index), draft.plan.actions);
    const message = `Only executions that are ${[...retried].join(", ")} can be retried; it is ${status}.`;
    return { type: "invalid-state", message };
  },
  apply(draft, event) {
    beginRun(draft);
    const details = handDetails(event, { run: draft.state.run });
    draft.log("execution.retried", undefined, undefined, details);
    startAnew(draft, () => false);
    tellRunsAgain(draft);
  },
};
