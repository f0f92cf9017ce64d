/**
 * Promise 3: a RUNNING execution always owns at least one thing that will move it on, and each open
 * action owns its own. A checker for tests, and for the sweeper in production.
 */

import type { PlanAction } from "../language/kinds/table.ts";
import type { Plan } from "../language/plan.ts";
import { type ActionRecord, type Execution, isOpenAction } from "../model/execution.ts";
import type { Holdings } from "./actions/rules.ts";
import { rulesOf } from "./actions/table.ts";
import { joinVerdict } from "./decision/edges.ts";
import { openRecordFields } from "./stored/items.ts";

export type { Holdings };

const pending: ActionRecord = { status: "PENDING" };

/** Fields of data that say what an execution should own, besides its state and records. */
export function owningFields(
  plan: Plan,
  { records }: Pick<Execution, "records">,
): readonly string[] {
  return records.flatMap((record, index) =>
    record?.items === undefined ? [] : openRecordFields(plan.actions[index]!.key, record.items),
  );
}

/** Sentences about what is broken; none when all is well. */
export function violations(plan: Plan, execution: Execution, store: Holdings): string[] {
  const { state, records } = execution;
  const found: string[] = [];
  let open = state.ready.filter((index) => !isOpenAction(records[index] ?? pending)).length;
  for (const action of plan.actions) {
    const record = records[action.index];
    if (record === undefined) continue;
    if (isOpenAction(record)) open += 1;
    if (state.status === "RUNNING" || state.status === "PAUSED") {
      found.push(...actionViolations(execution, action, record, store));
    }
  }
  if (state.status === "RUNNING") {
    // Its end may be left to the next decision, where this one has read much.
    if (open === 0 && !ownsContinue(execution, store)) {
      found.push("it is RUNNING and nothing is open");
    }
    if (open !== state.open) found.push(`it counts ${state.open} open actions, there are ${open}`);
    const cut = state.ready.length > 0 || state.closing.length > 0;
    if (cut && !ownsContinue(execution, store)) found.push("what was cut has no timer");
  } else if (state.closing.length > 0 && !ownsContinue(execution, store)) {
    found.push("closing was cut and has no timer");
  }
  return found;
}

function ownsContinue({ state }: Execution, store: Holdings): boolean {
  return state.continueTimer !== undefined && store.timers.has(state.continueTimer);
}

function actionViolations(
  execution: Execution,
  action: PlanAction,
  record: ActionRecord,
  store: Holdings,
): string[] {
  const { state } = execution;
  const timers = record.timers ?? [];
  const held = new Set(state.heldTimers.map((timer) => timer.id));
  const owned = () => rulesOf(action).owns?.(state, action, record) ?? {};
  const hasTimer = timers.some((timer) => store.timers.has(timer) || held.has(timer));
  const ready = state.ready.includes(action.index);
  switch (record.status) {
    case "SCHEDULED": {
      const { task } = owned();
      const hasTask = task !== undefined && store.tasks.has(task);
      return hasTask ? [] : [`${action.key} is SCHEDULED without a task`];
    }
    case "RUNNING":
    case "RETRYING":
      return hasTimer || ready ? [] : [`${action.key} is ${record.status} without a timer`];
    case "WAITING": {
      const further = rulesOf(action).violations?.(execution, action, record, store);
      if (further !== undefined) return further;
      return hasTimer || owned().signal === true ? [] : [`${action.key} waits for nothing`];
    }
    case "PENDING": {
      const { edges } = record;
      const verdict = edges === undefined ? "wait" : joinVerdict(state, action, edges);
      if (verdict === "wait") return [];
      if (verdict !== "start") return [`${action.key} is PENDING, and its join is decided`];
      return ready ? [] : [`${action.key} may start and is not ready`];
    }
    default:
      // What lost a race may wait for the next commit to drop what it owns.
      if (state.closing.includes(action.index)) return [];
      return timers.some((timer) => store.timers.has(timer))
        ? [`${action.key} has ended and still owns a timer`]
        : [];
  }
}
