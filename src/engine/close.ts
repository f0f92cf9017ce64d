/**
 * What actions owned is dropped: of one that is ended by hand, and, in portions, of those that an end of
 * the execution or a race has cancelled.
 */
import type { PlanAction } from "../language/kinds/table.ts";
import { rulesOf } from "./actions/table.ts";
import type { Draft } from "./decision/draft.ts";

/** As many as fit this commit. */
export function close(draft: Draft): void {
  while (draft.closing.length > 0 && draft.hasRoom()) {
    const action = draft.plan.actions[draft.closing[0]!]!;
    if (rulesOf(action).closeParts?.(draft, action) === false) break;
    draft.closing.shift();
    dropOwned(draft, action);
    const { timers = [], handout: _handout, ...record } = draft.record(action.index);
    for (const timer of timers) draft.dropTimer(timer);
    draft.setRecord(action.index, record);
  }
  // What could not be dropped yet must not be handed out in the meantime.
  if (draft.closing.length > 0) draft.hold = true;
  else if (draft.wasClosing && draft.state.status === "RUNNING") draft.hold = false;
}

/** What it owns besides the timers that its record names, and what it has set going elsewhere. */
export function dropOwned(draft: Draft, action: PlanAction): void {
  const { owns, close } = rulesOf(action);
  const record = draft.record(action.index);
  const task = owns?.(draft.state, action, record).task;
  if (task !== undefined) draft.dropTask(task);
  close?.(draft, action, record);
}
