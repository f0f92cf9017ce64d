/** Starts one action: each kind in its own file. */
import { unreachable } from "../../errors.ts";
import type { Draft } from "../draft.ts";
import { failAction } from "../flow.ts";
import type { PlanAction } from "../plan.ts";
import { TooLarge } from "../work.ts";
import { startDelay } from "./delay.ts";
import { startJavascript } from "./javascript.ts";
import { startSwitch } from "./switch.ts";
import { startTransform } from "./transform.ts";
import { startUserAction } from "./user.ts";
import { startWait } from "./wait.ts";

export function startAction(draft: Draft, action: PlanAction): void {
  draft.require(action.needs);
  if (action.kind !== "user") draft.systemActionsStarted += 1;
  draft.work.beginAction();
  try {
    startByKind(draft, action);
  } catch (error) {
    if (!(error instanceof TooLarge)) throw error;
    failAction(draft, action, { failure: { code: "TOO_LARGE", message: error.message } });
  }
}

/** Data is read before anything is changed: an action that reads too much leaves no trace. */
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
      const message = `This server does not run ${action.kind} actions yet.`;
      failAction(draft, action, { failure: { code: "NOT_IMPLEMENTED", message } });
      break;
    }
    default:
      unreachable(action);
  }
}
