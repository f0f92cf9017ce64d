/** Joins with `cancelRest`: once one is decided, what could only lead to it ends. */
import type { PlanAction } from "../../language/kinds/table.ts";
import type { Draft } from "./draft.ts";

/** Actions from which every way along `next` passes through the join, in the order of the plan. */
function losersOf(actions: readonly PlanAction[], join: PlanAction): PlanAction[] {
  const passes = new Uint8Array(join.index + 1);
  passes[join.index] = 1;
  const found: PlanAction[] = [];
  for (let index = join.index - 1; index >= 0; index--) {
    const { nextTargets } = actions[index]!;
    if (nextTargets.size === 0) continue;
    let everyWay = true;
    for (const target of nextTargets) everyWay &&= passes[target] === 1;
    if (!everyWay) continue;
    passes[index] = 1;
    found.push(actions[index]!);
  }
  return found.reverse();
}

/** Ends those that have not ended; all their edges are dead. */
export function endLosers(draft: Draft, join: PlanAction): void {
  for (const action of losersOf(draft.plan.actions, join)) endLoser(draft, action, join);
}

function endLoser(draft: Draft, action: PlanAction, join: PlanAction): void {
  const { index } = action;
  const record = draft.record(index);
  const place = draft.ready.indexOf(index);
  const end = { endedAt: draft.now, skippedBy: "lost-race" } as const;
  const details = JSON.stringify({ by: "lost-race", join: join.id });
  switch (record.status) {
    case "PENDING":
      if (place >= 0) draft.state.open -= 1;
      draft.setRecord(index, { status: "SKIPPED", ...end });
      draft.log("action.skipped", action, undefined, details);
      break;
    case "SCHEDULED":
    case "RUNNING":
    case "WAITING":
    case "RETRYING":
      draft.state.open -= 1;
      draft.setRecord(index, { ...record, status: "CANCELLED", ...end });
      draft.closing.push(index);
      draft.log("action.cancelled", action, record.attempt, details);
      break;
    default:
      return;
  }
  if (place >= 0) draft.ready.splice(place, 1);
  draft.ended.push(index);
}
