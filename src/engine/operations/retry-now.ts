/** retry-now: the backoff of an action is over; its next attempt starts, after a pause at the latest. */
import { parseTimer } from "../../model/timer.ts";
import { onAction } from "./action.ts";

export const retryNow = onAction<"retry-now">({
  applies: {
    when: ({ status }) => status === "RETRYING",
    else: "there is a backoff to end only between two attempts",
  },
  apply(draft, action) {
    const { timers = [] } = draft.record(action.index);
    for (const timer of timers) {
      if (parseTimer(timer)?.kind !== "retry") continue;
      draft.dropTimer(timer);
      draft.spendTimer(action, timer);
    }
    if (!draft.ready.includes(action.index)) draft.ready.push(action.index);
  },
});
