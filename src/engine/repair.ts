/**
 * Sets a broken execution going again: what an open action should own and the store has lost is
 * made anew. Only a store that lost acknowledged writes, or a mistake of ours, leads here.
 */

import type { PlanAction } from "../language/plan.ts";
import { isOpen } from "../model/execution.ts";
import { startAction } from "./actions/start.ts";
import type { Draft } from "./draft.ts";
import { joinVerdict, makeReady } from "./flow.ts";
import type { Owned } from "./invariants.ts";

export function repair(draft: Draft, owned: Owned): void {
  const { state } = draft;
  if (!isOpen(state.status)) return;
  for (const action of draft.plan.actions) repairAction(draft, action, owned);
  if (state.timeoutTimer !== undefined && !owned.timers.has(state.timeoutTimer)) {
    draft.addTimer(state.timeoutTimer, draft.now);
  }
  // A guard that is gone is set again where it is still needed, when this decision is finished.
  if (state.continueTimer !== undefined && !owned.timers.has(state.continueTimer)) {
    delete state.continueTimer;
  }
}

function repairAction(draft: Draft, action: PlanAction, owned: Owned): void {
  const record = draft.record(action.index);
  switch (record.status) {
    case "SCHEDULED": {
      if (action.kind !== "user" || record.handout === undefined) return;
      if (owned.tasks.has(draft.taskId(action, record.handout))) return;
      draft.log("action.repaired", action, record.attempt);
      // The same attempt under a new hand-out: whoever still holds the lost one is fenced off.
      draft.setRecord(action.index, { ...record, attempt: (record.attempt ?? 1) - 1 });
      startAction(draft, action);
      return;
    }
    case "RUNNING":
    case "RETRYING":
    case "WAITING": {
      const lost = (record.timers ?? []).filter((timer) => !owned.timers.has(timer));
      if (lost.length === 0 || draft.ready.includes(action.index)) return;
      draft.log("action.repaired", action);
      for (const timer of lost) draft.addTimer(timer, record.dueAt ?? draft.now);
      return;
    }
    case "PENDING": {
      if (record.edges === undefined || draft.ready.includes(action.index)) return;
      if (joinVerdict(action, record.edges) === "start") makeReady(draft, action.index);
      return;
    }
    default:
  }
}
