/** http actions: the worker inside the server gets the resolved request. */
import type { HttpPlanAction } from "../../language/kinds/http.ts";
import { resolveOrFail } from "./common.ts";
import { taskRules } from "./task.ts";

export const http = taskRules<HttpPlanAction>((draft, action) =>
  resolveOrFail(draft, action, action.request),
);
