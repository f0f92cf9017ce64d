/**
 * rerun: a new run, in which an action and all after it are as if they had never been reached, and what
 * the end had failed or cancelled elsewhere starts anew, as by retry.
 */
import type { PlanAction } from "../../language/kinds/table.ts";
import type { Plan } from "../../language/plan.ts";
import type { Refusal } from "../../model/event.ts";
import type { ActionRecord } from "../../model/execution.ts";
import { fields } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import { rulesOf } from "../actions/table.ts";
import type { Draft } from "../decision/draft.ts";
import { actionOf, refusalOfUnknown } from "./action.ts";
import { beginRun, newRunFormat, refusalOfAny, startAnew } from "./new-run.ts";
import { handDetails, type OperationRules } from "./rules.ts";

export const rerun: OperationRules<"rerun"> = {
  format: newRunFormat,
  beginsRun: true,
  refusal(draft, { action: key, parameters }) {
    const action = actionOf(draft, key);
    if (action === undefined) return refusalOfUnknown(key);
    if (draft.state.status === "RUNNING") {
      const message = "The execution is RUNNING: pause it first, or wait for its end.";
      return { type: "invalid-state", message };
    }
    const refused = refusalOfUnreached(action, draft.record(action.index));
    if (refused !== undefined) return refused;
    if (parameters !== undefined && rulesOf(action).takesParameters !== true) {
      const message = `The action ${key} takes no parameters: it is a ${action.kind} action.`;
      return { type: "refused", pointer: "/parameters", message };
    }
    const after = actionsFrom(draft.plan, action);
    const beside = draft.plan.actions.filter((one) => !after.has(one.index));
    return refusalOfAny(({ index }) => draft.record(index), beside);
  },
  apply(draft, event) {
    const { plan, state } = draft;
    const action = actionOf(draft, event.action)!;
    beginRun(draft);
    draft.log("execution.rerun", action, undefined, handDetails(event, { run: state.run }));
    const after = actionsFrom(plan, action);
    give(draft, action, { after, parameters: event.parameters });
    startAnew(draft, (index) => after.has(index));
  },
};

/** What has not run has nothing to be run again; it would only be decided as before. */
export function refusalOfUnreached(
  { key }: PlanAction,
  { status, skippedBy }: ActionRecord,
): Refusal | undefined {
  if (status !== "PENDING" && (status !== "SKIPPED" || skippedBy === "hand")) return undefined;
  const message = `The action ${key} has not run: it is ${status}. Use an action before it.`;
  return { type: "invalid-state", message, actionStatus: status };
}

/** The plan indexes of an action, and of all after it, over `next` and `onError`. */
export function actionsFrom({ actions }: Plan, first: PlanAction): ReadonlySet<number> {
  const found = new Set([first.index]);
  // Sets are walked in the order in which they grow.
  for (const index of found) for (const target of actions[index]!.targets) found.add(target);
  return found;
}

/** Parameters that an earlier rerun gave are kept for actions that are not run again. */
function give(
  draft: Draft,
  action: PlanAction,
  given: { readonly after: ReadonlySet<number>; readonly parameters: JsonText | undefined },
): void {
  const { state, plan } = draft;
  const { after, parameters } = given;
  const kept: number[] = [];
  for (const index of state.given ?? []) {
    if (after.has(index)) draft.write(fields.parameters(plan.actions[index]!.key), null);
    else kept.push(index);
  }
  if (parameters !== undefined) {
    draft.write(fields.parameters(action.key), parameters);
    kept.push(action.index);
  }
  if (kept.length > 0) state.given = kept;
  else delete state.given;
}
