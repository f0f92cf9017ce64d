/** fail: the open action has finally failed. It is not tried again; `onError` and `optional` apply. */
import { failAction } from "../decision/flow.ts";
import { onAction, takeOut } from "./action.ts";

export const fail = onAction<"fail">({
  apply(draft, action, { failure }) {
    takeOut(draft, action);
    failAction(draft, action, { failure });
  },
});
