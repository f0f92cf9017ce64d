/**
 * What an open execution waits for: the reading of promise 3, that a RUNNING execution always owns
 * something that will move it on. It names what that is; whether it comes soon, such as whether a
 * worker polls for a task, is for the runtime to look up.
 */
import type { PlanAction } from "../language/kinds/table.ts";
import type { Plan } from "../language/plan.ts";
import { type ActionRecord, type Execution, isOpenAction } from "../model/execution.ts";
import type { ActionWait } from "./actions/rules.ts";
import { rulesOf } from "./actions/table.ts";

/**
 * `pause`: the resume. `continue`: what one commit could not hold goes on at once. `join`: an action
 * that was reached waits for others. The rest: see ActionWait.
 */
export type Wait =
  | { readonly kind: "pause" | "continue" }
  | {
      readonly kind: ActionWait | "join";
      readonly action: PlanAction;
      readonly record: ActionRecord;
      /** Id of the task of a `task`. */
      readonly task?: string;
    };

/** In the order of the plan; none when the execution has ended. */
export function waitsOf(plan: Plan, { state, records }: Execution): Wait[] {
  const waits: Wait[] = [];
  if (state.status === "PAUSED") waits.push({ kind: "pause" });
  else if (state.status !== "RUNNING") return waits;
  if (state.continueTimer !== undefined) waits.push({ kind: "continue" });
  for (const action of plan.actions) {
    const record = records[action.index];
    // What is ready starts with the resume, or with what goes on.
    if (record === undefined || state.ready.includes(action.index)) continue;
    if (isOpenAction(record)) {
      const { waits: kindOf, owns } = rulesOf(action);
      const kind = kindOf?.(record);
      const task = kind === "task" ? owns?.(state, action, record).task : undefined;
      if (kind !== undefined) waits.push({ kind, action, record, ...(task && { task }) });
    } else if (record.status === "PENDING" && record.edges !== undefined) {
      waits.push({ kind: "join", action, record });
    }
  }
  return waits;
}
