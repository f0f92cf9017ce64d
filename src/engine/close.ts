/**
 * What actions owned is dropped: of one that is ended by hand, and, in portions, of those that an end of
 * the execution or a race has cancelled, or that a rerun has reset.
 */
import type { PlanAction } from "../language/kinds/table.ts";
import type { ActionRecord } from "../model/execution.ts";
import { rulesOf } from "./actions/table.ts";
import type { Draft } from "./decision/draft.ts";

/** As many as fit this commit. */
export function close(draft: Draft): void {
  while (draft.closing.length > 0 && draft.hasRoom()) {
    const next = draft.closing[0]!;
    const index = typeof next === "number" ? next : next.index;
    const action = draft.plan.actions[index]!;
    if (typeof next === "number" && rulesOf(action).closeParts?.(draft, action) === false) break;
    draft.closing.shift();
    const open = typeof next === "number" ? draft.record(index) : next.record;
    dropOwned(draft, action, open);
    const { timers = [], handout: _handout, ...record } = open;
    for (const timer of timers) draft.dropTimer(timer);
    if (typeof next === "number") draft.setRecord(index, record);
  }
  // What could not be dropped yet must not be handed out in the meantime.
  if (draft.closing.length > 0) draft.hold = true;
  else if (draft.wasClosing && draft.state.status === "RUNNING") draft.hold = false;
}

/** What it owns besides the timers that its record names, and what it has set going elsewhere. */
export function dropOwned(draft: Draft, action: PlanAction, record: ActionRecord): void {
  const { owns, close } = rulesOf(action);
  const task = owns?.(draft.state, action, record).task;
  if (task !== undefined) draft.dropTask(task);
  close?.(draft, action, record);
}
