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
    const { closeParts, dropLeft } = rulesOf(action);
    if (typeof next === "number") {
      if (closeParts?.(draft, action) === false) break;
    } else {
      const left = dropLeft?.(draft, action, next.record);
      if (left !== undefined) {
        draft.closing[0] = { index, record: left };
        break;
      }
    }
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

/** Drops what was reset, and tells whether all of it is: a new run writes to the same fields of data. */
export function closeLeft(draft: Draft): boolean {
  const isFree = () => draft.closing.every((next) => typeof next === "number");
  if (isFree()) return true;
  close(draft);
  return isFree();
}

/** What it owns besides the timers that its record names, and what it has set going elsewhere. */
export function dropOwned(draft: Draft, action: PlanAction, record: ActionRecord): void {
  const { owns, close } = rulesOf(action);
  const task = owns?.(draft.state, action, record).task;
  if (task !== undefined) draft.dropTask(task);
  close?.(draft, action, record);
}
