/** User actions: a worker gets the resolved parameters. */
import { cut } from "../../language/data/cut.ts";
import type { UserPlanAction } from "../../language/kinds/user.ts";
import { failValue, parametersOrFail } from "./common.ts";
import type { ActionRules } from "./rules.ts";
import { taskRules } from "./task.ts";

export const user: ActionRules<UserPlanAction> = {
  ...taskRules<UserPlanAction>((draft, action) => {
    const parameters = parametersOrFail(draft, action);
    if (parameters === undefined || parameters.startsWith("{")) return parameters;
    failValue(draft, action, `parameters must be an object, not ${cut(parameters)}.`);
    return undefined;
  }),
  takesParameters: true,
};
