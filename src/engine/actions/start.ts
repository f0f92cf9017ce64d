/** Starts one action: each kind in its own file. */
import { unreachable } from "../../base/errors.ts";
import type { PlanAction } from "../../language/plan.ts";
import type { Draft } from "../draft.ts";
import { failAction } from "../flow.ts";
import { failIfTooLarge } from "./common.ts";
import { startDelay } from "./delay.ts";
import { startJavascript } from "./javascript.ts";
import { startSwitch } from "./switch.ts";
import { startTransform } from "./transform.ts";
import { startUserAction } from "./user.ts";
import { startWait } from "./wait.ts";

export function startAction(draft: Draft, action: PlanAction): void {
  failIfTooLarge(draft, action, () => {
    draft.require(action.needs);
    if (action.kind !== "user") draft.systemActionsStarted += 1;
    startByKind(draft, action);
  });
}

function startByKind(draft: Draft, action: PlanAction): void {
  switch (action.kind) {
    case "user":
      startUserAction(draft, action);
      break;
    case "switch":
      startSwitch(draft, action);
      break;
    case "javascript":
      startJavascript(draft, action);
      break;
    case "delay":
      startDelay(draft, action);
      break;
    case "wait":
      startWait(draft, action);
      break;
    case "transform":
      startTransform(draft, action);
      break;
    case "workflow":
    case "map":
    case "loop":
    case "terminate":
    case "signal": {
      const message = `This server does not implement ${action.kind} actions yet.`;
      failAction(draft, action, { failure: { code: "NOT_IMPLEMENTED", message } });
      break;
    }
    default:
      unreachable(action);
  }
}
