/**
 * terminate: ends the execution at once, whatever else is open. The action itself completes; its
 * output is the result of the execution, if it has one: see decision/result.ts.
 */
import { limits } from "../../base/limits.ts";
import { cut, cutMessage } from "../../language/data/cut.ts";
import type { TerminatePlanAction } from "../../language/kinds/terminate.ts";
import type { JsonText } from "../../model/json.ts";
import type { Draft } from "../decision/draft.ts";
import { completeExecution, endExecution } from "../decision/end.ts";
import { completeAction } from "../decision/flow.ts";
import { failValue, resolveOrFail } from "./common.ts";
import type { ActionRules } from "./rules.ts";

export const terminate: ActionRules<TerminatePlanAction> = { start };

function start(draft: Draft, action: TerminatePlanAction): void {
  if (action.status === "COMPLETED") complete(draft, action);
  else fail(draft, action);
}

function complete(draft: Draft, action: TerminatePlanAction): void {
  const { output: template } = action;
  const output = template === undefined ? "{}" : resolveOrFail(draft, action, template);
  if (output === undefined) return;
  completeAction(draft, action, { output, route: "default" });
  completeExecution(draft);
}

function fail(draft: Draft, action: TerminatePlanAction): void {
  const code = action.code ? resolveOrFail(draft, action, action.code) : "null";
  if (code === undefined) return;
  const reason = action.reason ? resolveOrFail(draft, action, action.reason) : "null";
  if (reason === undefined) return;
  if (code !== "null" && !isCode(JSON.parse(code))) {
    const form = `text of 1 to ${limits.nameCharsMax} characters`;
    failValue(draft, action, `code must be ${form}, not ${cut(code)}.`);
    return;
  }
  const failure = {
    code: code === "null" ? "TERMINATED" : (JSON.parse(code) as string),
    message: cutMessage(reasonIn(reason) ?? `The action ${action.key} ended the execution.`),
    action: action.key,
  };
  completeAction(draft, action, { output: "{}", route: "default" });
  endExecution(draft, { status: "FAILED", failure });
}

function isCode(value: unknown): boolean {
  return typeof value === "string" && value.length > 0 && value.length <= limits.nameCharsMax;
}

/** Text as it is, any other value as JSON; undefined: there is none. */
function reasonIn(text: JsonText): string | undefined {
  if (text === "null") return undefined;
  return text.startsWith('"') ? (JSON.parse(text) as string) : text;
}
