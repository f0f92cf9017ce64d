/** javascript: what the script puts out is the output, and it may choose the route. */
import { cut } from "../../language/data/cut.ts";
import { actionText } from "../../language/data/scope.ts";
import type { JavascriptPlanAction } from "../../language/kinds/javascript.ts";
import type { ScriptOutcome } from "../../model/event.ts";
import type { JsonText } from "../../model/json.ts";
import type { Draft } from "../decision/draft.ts";
import { completeAction, failAction } from "../decision/flow.ts";
import type { ActionRules } from "./rules.ts";
import { scriptRules } from "./script.ts";

export const javascript: ActionRules<JavascriptPlanAction> = {
  ...scriptRules<JavascriptPlanAction>({ request, end }),
  waits: ({ status }) => (status === "WAITING" ? "script-turn" : "script"),
};

function request(draft: Draft, { needs, expression }: JavascriptPlanAction) {
  const view = draft.view();
  const actions: Record<string, JsonText> = {};
  const { outputs: keys } = needs;
  for (const key of keys === "all" ? view.actionKeys() : keys) {
    const text = actionText(view.output(key), view.facts(key));
    if (text !== undefined) actions[key] = text;
  }
  return { expression, actions };
}

function end(draft: Draft, action: JavascriptPlanAction, outcome: ScriptOutcome): void {
  if (!outcome.ok) {
    const { message } = outcome;
    const isLimit = outcome.code === "SCRIPT_LIMIT";
    const code = action.throwsCodes || isLimit ? outcome.code : "SCRIPT_ERROR";
    failAction(draft, action, { failure: { code, message } });
    return;
  }
  const route = outcome.route ?? "default";
  if (route !== "default" && !action.next.has(route)) {
    const message = `The script chose the route ${JSON.stringify(cut(route))}, which next does not have.`;
    failAction(draft, action, { failure: { code: "NO_MATCHING_ROUTE", message } });
    return;
  }
  completeAction(draft, action, { output: outcome.output, route });
}
