/**
 * Sets a broken execution going again: what an open action should own and the store has lost is
 * made anew. Only a store that lost acknowledged writes, or a mistake of ours, leads here.
 */

import type { PlanAction } from "../language/kinds/table.ts";
import { isOpen } from "../model/execution.ts";
import { rulesOf } from "./actions/table.ts";
import type { Draft } from "./decision/draft.ts";
import { joinVerdict } from "./decision/edges.ts";
import { makeReady } from "./decision/flow.ts";
import type { Holdings } from "./invariants.ts";

export function repair(draft: Draft, held: Holdings): void {
  const { state } = draft;
  if (!isOpen(state.status)) return;
  for (const action of draft.plan.actions) repairAction(draft, action, held);
  if (state.timeoutTimer !== undefined && !held.timers.has(state.timeoutTimer)) {
    draft.addTimer(state.timeoutTimer, draft.now);
  }
  // A guard that is gone is set again where it is still needed, when this decision is finished.
  if (state.continueTimer !== undefined && !held.timers.has(state.continueTimer)) {
    delete state.continueTimer;
  }
}

function repairAction(draft: Draft, action: PlanAction, held: Holdings): void {
  const record = draft.record(action.index);
  switch (record.status) {
    case "SCHEDULED": {
      const { owns, replaceTask } = rulesOf(action);
      const task = owns?.(draft.state, action, record).task;
      if (task === undefined || held.tasks.has(task)) return;
      draft.log("action.repaired", action, record.attempt);
      replaceTask?.(draft, action);
      return;
    }
    case "RUNNING":
    case "RETRYING":
    case "WAITING": {
      const { repair: further } = rulesOf(action);
      if (further !== undefined) {
        further(draft, action, held);
        return;
      }
      const lost = (record.timers ?? []).filter((timer) => !held.timers.has(timer));
      if (lost.length === 0 || draft.ready.includes(action.index)) return;
      draft.log("action.repaired", action);
      for (const timer of lost) draft.addTimer(timer, record.dueAt ?? draft.now);
      return;
    }
    case "PENDING": {
      if (record.edges === undefined || draft.ready.includes(action.index)) return;
      if (joinVerdict(draft.state, action, record.edges) === "start")
        makeReady(draft, action.index);
      return;
    }
    default:
  }
}
