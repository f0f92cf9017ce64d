/**
 * javascript: the script is evaluated by the runtime, in a sandbox, and comes back as an event. A
 * timer guards it: should this server die meanwhile, another one asks for the evaluation again.
 */
import { limits } from "../../limits.ts";
import type { ScriptOutcome } from "../../model/event.ts";
import type { JsonText } from "../../model/json.ts";
import type { Draft } from "../draft.ts";
import { completeAction, failAction } from "../flow.ts";
import type { JavascriptPlanAction } from "../plan.ts";

/** Longer than any evaluation takes, waiting for its turn included. */
const guardMs = 20 * (limits.scriptMs + limits.scriptGraceMs);

export function startJavascript(draft: Draft, action: JavascriptPlanAction): void {
  const handout = draft.nextHandout();
  const timer = draft.timerId("script", action, handout);
  draft.addTimer(timer, draft.now + guardMs);
  draft.setRecord(action.index, {
    ...draft.record(action.index),
    status: "RUNNING",
    startedAt: draft.record(action.index).startedAt ?? draft.now,
    handout,
    timers: [timer],
  });
  request(draft, action, handout);
}

/** The guard came due: whoever was evaluating is gone. */
export function restartJavascript(draft: Draft, action: JavascriptPlanAction): void {
  draft.require(action.needs);
  draft.log("script.restarted", action);
  startJavascript(draft, action);
}

function request(draft: Draft, action: JavascriptPlanAction, handout: number): void {
  const view = draft.view();
  // Only what is on `$` already is kept out of the script's output: it may name a property like an
  // action that has not run (the order example does).
  const outputs: Record<string, JsonText> = {};
  for (const key of view.outputKeys()) {
    const text = view.output(key);
    if (text !== undefined) outputs[key] = text;
  }
  const { expression, index } = action;
  const { input, execution } = view;
  draft.requestScript({ handout, actionIndex: index, expression, input, execution, outputs });
}

export function endJavascript(
  draft: Draft,
  action: JavascriptPlanAction,
  outcome: ScriptOutcome,
): void {
  if (!outcome.ok) {
    const { code, message } = outcome;
    failAction(draft, action, { failure: { code, message } });
    return;
  }
  const route = outcome.route ?? "default";
  if (outcome.route !== undefined && !action.next.has(outcome.route)) {
    const message = `The script chose the route ${JSON.stringify(route)}, which next does not have.`;
    failAction(draft, action, { failure: { code: "NO_MATCHING_ROUTE", message } });
    return;
  }
  completeAction(draft, action, { output: outcome.output, route });
}
