/** Kinds that are part of the language and not built so far. */
import type { PlanAction } from "../../language/kinds/table.ts";
import type { Draft } from "../decision/draft.ts";
import { failAction } from "../decision/flow.ts";
import type { ActionRules } from "./rules.ts";

const notBuilt: ActionRules = {
  start(draft, action) {
    const message = `This server does not implement ${action.kind} actions yet.`;
    failAction(draft, action, { failure: { code: "NOT_IMPLEMENTED", message } });
  },
};

/**
 * Whether the action was failed, as servers of format 3 share the store. They saved such definitions,
 * which nothing ran.
 */
export function failsAsOlder(draft: Draft, action: PlanAction): boolean {
  if (draft.format >= 4) return false;
  notBuilt.start(draft, action);
  return true;
}
