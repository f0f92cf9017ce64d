/** After the end of an execution: what its open actions owned is dropped, in portions. */
import { rulesOf } from "./actions/table.ts";
import type { Draft } from "./decision/draft.ts";

/** As many as fit this commit. */
export function close(draft: Draft): void {
  while (draft.closing.length > 0 && draft.hasRoom()) {
    const action = draft.plan.actions[draft.closing.shift()!]!;
    const open = draft.record(action.index);
    const owned = rulesOf(action).owns?.(draft.state, action, open);
    const { timers = [], handout: _handout, ...record } = open;
    for (const timer of timers) draft.dropTimer(timer);
    if (owned?.task !== undefined) draft.dropTask(owned.task);
    draft.setRecord(action.index, record);
  }
  // What could not be dropped yet must not be handed out in the meantime.
  if (draft.closing.length > 0) draft.hold = true;
}
