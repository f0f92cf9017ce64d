/** Signals from outside: each goes to one action, or is kept for one that is still to come. */
import type { PlanAction } from "../language/kinds/table.ts";
import type { EventAnswer } from "../model/event.ts";
import type { EventOf } from "./actions/rules.ts";
import { rulesOf } from "./actions/table.ts";
import type { Draft } from "./decision/draft.ts";
import { refusalIfEnded } from "./decision/open.ts";
import { keepSignal } from "./decision/signals.ts";

export function applySignal(draft: Draft, signal: EventOf<"signal">): EventAnswer {
  const ended = refusalIfEnded(draft);
  if (ended !== undefined) return ended;
  const action = firstWaiting(draft, signal.event);
  if (action === undefined) return keepSignal(draft, signal);
  const { handout = 0 } = draft.record(action.index);
  return (
    rulesOf(action).events?.signal?.(draft, action, signal, handout) ?? keepSignal(draft, signal)
  );
}

/** Of several that wait for it, the one that started first. */
function firstWaiting(draft: Draft, event: string): PlanAction | undefined {
  let first: PlanAction | undefined;
  let firstHandout = Number.POSITIVE_INFINITY;
  for (const [index, record] of draft.records.entries()) {
    if (record?.status !== "WAITING" || !record.events?.includes(event)) continue;
    const handout = record.handout ?? 0;
    if (handout > firstHandout) continue;
    first = draft.plan.actions[index];
    firstHandout = handout;
  }
  return first;
}
