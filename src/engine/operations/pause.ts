/** pause: nothing new starts and queued tasks are held; what is under way goes on and is applied. */
import { refusalIfEnded } from "../decision/open.ts";
import { handDetails, type OperationRules } from "./rules.ts";

export const pause: OperationRules<"pause"> = {
  refusal: refusalIfEnded,
  apply(draft, event) {
    if (draft.state.status === "PAUSED") return;
    draft.state.status = "PAUSED";
    draft.state.pausedAt = draft.now;
    draft.hold = true;
    draft.log("execution.paused", undefined, undefined, handDetails(event));
  },
};
