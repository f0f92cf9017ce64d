/** Kinds that are part of the language and not built so far. */
import { failAction } from "../decision/flow.ts";
import type { ActionRules } from "./rules.ts";

export const notBuilt: ActionRules = {
  start(draft, action) {
    const message = `This server does not implement ${action.kind} actions yet.`;
    failAction(draft, action, { failure: { code: "NOT_IMPLEMENTED", message } });
  },
};
