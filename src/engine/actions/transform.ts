/** transform: its output is its resolved parameters. */

import type { TransformPlanAction } from "../../language/plan.ts";
import type { Draft } from "../draft.ts";
import { completeAction } from "../flow.ts";
import { resolveOrFail } from "./common.ts";

export function startTransform(draft: Draft, action: TransformPlanAction): void {
  const { parameters } = action;
  const output = parameters === undefined ? "{}" : resolveOrFail(draft, action, parameters);
  if (output === undefined) return;
  completeAction(draft, action, { output, route: "default" });
}
