/** cancel: ends the execution and its open actions. */
import { defined } from "../../base/defined.ts";
import { endExecution } from "../decision/end.ts";
import { refusalIfEnded } from "../decision/open.ts";
import type { OperationRules } from "./rules.ts";

export const cancel: OperationRules<"cancel"> = {
  refusal: refusalIfEnded,
  apply(draft, { reason }) {
    endExecution(draft, { status: "CANCELLED", ...defined({ reason }) });
  },
};
