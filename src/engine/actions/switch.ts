/** switch: the value of a reference, as text, names the route. */

import { cut } from "../../language/data/cut.ts";
import { resolveReference } from "../../language/data/reference.ts";
import type { SwitchPlanAction } from "../../language/kinds/switch.ts";
import { canonicalNumber } from "../../model/numbers.ts";
import type { Draft } from "../decision/draft.ts";
import { completeAction, failAction } from "../decision/flow.ts";
import type { ActionRules } from "./rules.ts";

export const switchRules: ActionRules<SwitchPlanAction> = { start };

function start(draft: Draft, action: SwitchPlanAction): void {
  const text = resolveReference(action.expression, draft.view(), draft.work);
  const value = text === undefined ? undefined : routeName(text);
  const route = value !== undefined && action.next.has(value) ? value : "default";
  if (!action.next.has(route)) {
    const message = `No route for ${cut(value ?? "null")}, and no default.`;
    failAction(draft, action, { failure: { code: "NO_MATCHING_ROUTE", message } });
    return;
  }
  completeAction(draft, action, { output: JSON.stringify({ route }), route });
}

/** 200, 200.0 and 2e2 are "200", true is "true"; null names nothing. */
export function routeName(text: string): string | undefined {
  if (text === "null") return undefined;
  if (text.startsWith('"')) return JSON.parse(text);
  return /^-?\d/.test(text) ? canonicalNumber(text) : text;
}
