/** Starts an action, whatever its kind. */
import type { PlanAction } from "../../language/kinds/table.ts";
import { isTaskAction } from "../../language/kinds/task.ts";
import type { Draft } from "../decision/draft.ts";
import { lastRecovered } from "../decision/edges.ts";
import { withNeeds } from "./common.ts";
import { rulesOf } from "./table.ts";

export function startAction(draft: Draft, action: PlanAction): void {
  if (action.needs.failure === true) fixHandledFailure(draft, action);
  withNeeds(draft, action, () => {
    // What the server does itself takes its time; a task is bounded by the effects of a commit.
    if (!isTaskAction(action)) draft.systemActionsStarted += 1;
    rulesOf(action).start(draft, action);
  });
}

/** Attempts that follow find the same failure as the first. */
function fixHandledFailure(draft: Draft, action: PlanAction): void {
  const record = draft.record(action.index);
  if (record.status !== "PENDING") return;
  const errorOf = lastRecovered(draft, action);
  if (errorOf !== undefined) draft.setRecord(action.index, { ...record, errorOf });
}
