/** transform: its output is its resolved parameters. */

import type { TransformPlanAction } from "../../language/kinds/transform.ts";
import type { Draft } from "../decision/draft.ts";
import { completeAction } from "../decision/flow.ts";
import { parametersOrFail } from "./common.ts";
import type { ActionRules } from "./rules.ts";

export const transform: ActionRules<TransformPlanAction> = { start, takesParameters: true };

function start(draft: Draft, action: TransformPlanAction): void {
  const output = parametersOrFail(draft, action);
  if (output === undefined) return;
  completeAction(draft, action, { output, route: "default" });
}
