/** switch: the value of a reference, as text, names the route; or the first case that holds has it. */

import { limits } from "../../base/limits.ts";
import { Conditions } from "../../language/data/condition.ts";
import { cut } from "../../language/data/cut.ts";
import { withoutSpace } from "../../language/data/json-text.ts";
import { type Reference, resolveReference } from "../../language/data/reference.ts";
import type { SwitchPlanAction } from "../../language/kinds/switch.ts";
import { canonicalNumber } from "../../model/numbers.ts";
import type { Draft } from "../decision/draft.ts";
import { completeAction, failAction } from "../decision/flow.ts";
import { failMissing } from "./common.ts";
import type { ActionRules } from "./rules.ts";

export const switchRules: ActionRules<SwitchPlanAction> = { start };

interface Choice {
  /** Undefined: nothing names a route. */
  readonly route: string | undefined;
  /** Undefined where every reference that was read has a value. */
  readonly missing: string | undefined;
}

function start(draft: Draft, action: SwitchPlanAction): void {
  const { expression, next, strict } = action;
  const choice = expression === undefined ? ofCases(draft, action) : ofValue(draft, expression);
  if (strict && choice.missing !== undefined) {
    failMissing(draft, action, choice.missing);
    return;
  }
  const route = choice.route !== undefined && next.has(choice.route) ? choice.route : "default";
  if (!next.has(route)) {
    const message = `No route for ${cut(choice.route ?? "null")}, and no default.`;
    failAction(draft, action, { failure: { code: "NO_MATCHING_ROUTE", message } });
    return;
  }
  completeAction(draft, action, { output: JSON.stringify({ route }), route });
}

function ofValue(draft: Draft, expression: Reference): Choice {
  const text = resolveReference(expression, draft.view(), draft.work);
  return text === undefined
    ? { route: undefined, missing: expression.text }
    : { route: routeName(text), missing: undefined };
}

function ofCases(draft: Draft, { cases, indexed }: SwitchPlanAction): Choice {
  const conditions = new Conditions(draft.view(), draft.work, indexed);
  const found = cases.find(({ when }) => conditions.holds(when));
  return { route: found?.route, missing: conditions.missing };
}

/** 200, 200.0 and 2e2 are "200", true is "true"; null names nothing. */
function routeName(text: string): string | undefined {
  if (text === "null") return undefined;
  if (text.startsWith('"')) return JSON.parse(text);
  if (text.startsWith("{") || text.startsWith("["))
    return withoutSpace(text, limits.routeNameCharsMax);
  return /^-?\d/.test(text) ? canonicalNumber(text) : text;
}
