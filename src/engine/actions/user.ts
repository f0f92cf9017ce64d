/** User actions: a worker gets the resolved parameters. */
import { cut } from "../../language/data/cut.ts";
import type { UserPlanAction } from "../../language/kinds/user.ts";
import { failValue, resolveOrFail } from "./common.ts";
import { taskRules } from "./task.ts";

export const user = taskRules<UserPlanAction>((draft, action) => {
  if (action.parameters === undefined) return "{}";
  const parameters = resolveOrFail(draft, action, action.parameters);
  if (parameters === undefined || parameters.startsWith("{")) return parameters;
  failValue(draft, action, `parameters must be an object, not ${cut(parameters)}.`);
  return undefined;
});
