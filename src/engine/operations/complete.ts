/** complete: the open action ends with this output, and takes this route. */
import { cut } from "../../language/data/cut.ts";
import { completeAction } from "../decision/flow.ts";
import { onAction, takeOut } from "./action.ts";

export const complete = onAction<"complete">({
  refusal({ key, next }, { route = "default" }) {
    if (route === "default" || next.has(route)) return undefined;
    const routes = [...new Set([...next.keys(), "default"])].join(", ");
    const message = `The action ${key} has no route ${JSON.stringify(cut(route))}; its routes are ${cut(routes)}.`;
    return { type: "refused", pointer: "/route", message };
  },
  apply(draft, action, { output, route = "default" }) {
    takeOut(draft, action);
    completeAction(draft, action, { output, route });
  },
});
