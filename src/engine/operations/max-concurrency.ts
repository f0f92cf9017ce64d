/** max-concurrency: how many items of a map are open at the same time, from now on. */
import { MapRecords } from "../actions/map/records.ts";
import { onAction } from "./action.ts";

export const maxConcurrency = onAction<"max-concurrency">({
  applies: {
    when: ({ status, items }) => status === "WAITING" && items !== undefined,
    else: "only a map that is open has items at the same time",
  },
  apply(draft, action, event) {
    // Those that are open beyond a lower number go on.
    new MapRecords(draft, action).change({ maxConcurrency: event.maxConcurrency });
    if (!draft.ready.includes(action.index)) draft.ready.push(action.index);
  },
});
