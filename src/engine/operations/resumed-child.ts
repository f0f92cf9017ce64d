/**
 * A child that was retried runs again. A parent that is FAILED because of it, and has not begun a run
 * since, waits for it in a new run, and so do its own parents.
 */
import { childIdOf } from "../../model/child.ts";
import type { EventAnswer } from "../../model/event.ts";
import type { ActionRecord } from "../../model/execution.ts";
import { accepted, type EventOf, stale } from "../actions/rules.ts";
import { rulesOf } from "../actions/table.ts";
import { tellRunsAgain } from "../decision/children.ts";
import type { Draft } from "../decision/draft.ts";
import { beginRun, startAnew } from "./new-run.ts";

export function applyResumedChild(draft: Draft, event: EventOf<"child-resumed">): EventAnswer {
  const { parent } = event;
  const { state, plan } = draft;
  const action = plan.actions[plan.byKey.get(parent.action) ?? -1];
  if (action === undefined || parent.startedAt !== state.startedAt) return stale;
  const isBecauseOfIt = state.status === "FAILED" && state.failure?.action === action.key;
  const waitAgain = rulesOf(action).waitAgain;
  if (!isBecauseOfIt || waitAgain === undefined) return stale;
  const { item } = parent;
  const record =
    item === undefined
      ? draft.record(action.index)
      : rulesOf(action).failedItem?.(draft, action, item);
  const child = childIdOf(parent);
  if (!isFailureOf(record, child)) return stale;
  beginRun(draft);
  const details = JSON.stringify({ run: state.run, child });
  draft.log("execution.retried", action, undefined, details);
  state.open += 1;
  waitAgain(draft, action, event);
  startAnew(draft, () => false);
  tellRunsAgain(draft);
  return accepted;
}

/** Its last child has failed the action, or the item, and it has not started another since. */
function isFailureOf(record: ActionRecord | undefined, id: string): boolean {
  if (record?.status !== "FAILED" || record.route !== undefined) return false;
  return record.child === id && record.failure?.code === "CHILD_FAILED";
}
