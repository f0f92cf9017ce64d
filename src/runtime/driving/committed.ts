/** What the rest of the runtime hears about a commit, after it holds. */
import type { Plan } from "../../language/plan.ts";
import type { Decision } from "../../model/decision.ts";
import { type Execution, isOpen } from "../../model/execution.ts";
import type { ExecutionKey } from "../../model/ids.ts";

export interface Committed {
  readonly key: ExecutionKey;
  readonly before: Execution | undefined;
  readonly after: Execution;
  readonly decision: Decision;
  readonly plan: Plan;
}

/** Whether this commit is the one that ended the execution. */
export function isEnding({ before, after }: Committed): boolean {
  return !isOpen(after.state.status) && (before === undefined || isOpen(before.state.status));
}
