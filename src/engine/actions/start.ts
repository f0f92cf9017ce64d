/** Starts one action: each kind in its own file. */
import { unreachable } from "../../errors.ts";
import type { Draft } from "../draft.ts";
import { failAction } from "../flow.ts";
import type { PlanAction } from "../plan.ts";
import { startDelay } from "./delay.ts";
import { startJavascript } from "./javascript.ts";
import { startSwitch } from "./switch.ts";
import { startTransform } from "./transform.ts";
import { startUserAction } from "./user.ts";
import { startWait } from "./wait.ts";

export function startAction(draft: Draft, action: PlanAction): void {
  draft.require(action.needs);
  if (action.kind !== "user") draft.systemActionsStarted += 1;
  switch (action.kind) {
    case "user":
      return startUserAction(draft, action);
    case "switch":
      return startSwitch(draft, action);
    case "javascript":
      return startJavascript(draft, action);
    case "delay":
      return startDelay(draft, action);
    case "wait":
      return startWait(draft, action);
    case "transform":
      return startTransform(draft, action);
    case "workflow":
    case "map":
    case "loop":
    case "terminate":
    case "signal":
      return failAction(draft, action, {
        failure: {
          code: "NOT_IMPLEMENTED",
          message: `This server does not run ${action.kind} actions yet.`,
        },
      });
    default:
      return unreachable(action);
  }
}
