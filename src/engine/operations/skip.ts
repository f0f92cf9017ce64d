/** skip: the open action counts as completed, with this output and the route `default`. */
import { skipByHand } from "../decision/flow.ts";
import { onAction, takeOut } from "./action.ts";

export const skip = onAction<"skip">({
  apply(draft, action, { output }) {
    takeOut(draft, action);
    skipByHand(draft, action, output);
  },
});
