/** transform: its output is its resolved parameters. */

import type { TransformPlanAction } from "../../language/kinds/transform.ts";
import type { Draft } from "../decision/draft.ts";
import { completeAction } from "../decision/flow.ts";
import { resolveOrFail } from "./common.ts";
import type { ActionRules } from "./rules.ts";

export const transform: ActionRules<TransformPlanAction> = { start };

function start(draft: Draft, action: TransformPlanAction): void {
  const { parameters } = action;
  const output = parameters === undefined ? "{}" : resolveOrFail(draft, action, parameters);
  if (output === undefined) return;
  completeAction(draft, action, { output, route: "default" });
}
