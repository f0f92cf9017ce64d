/** signal: sends an event to other executions. */
import type { ActionSpec } from "../../model/definition.ts";
import type { Json } from "../../model/json.ts";
import { compileTemplate, type Template } from "../data/template.ts";
import { reader } from "../readers/reader.ts";
import { shown } from "../readers/report.ts";
import { template } from "../readers/templates.ts";
import { type KindRules, needsOf, optionalTemplate, type PlanActionBase } from "./kind.ts";
import { waitedEvent } from "./wait.ts";

export interface SignalPlanAction extends PlanActionBase {
  readonly kind: "signal";
  /** Exactly one of these two. */
  readonly executionId: Template | undefined;
  readonly correlationId: Template | undefined;
  readonly event: Template;
  readonly payload: Template | undefined;
}

const textTemplate = reader({ type: "string", minLength: 1 }, (value, pointer, report) => {
  if (typeof value === "string" && value !== "") return template(value, pointer, report);
  report.problem(pointer, `It must be text, or a template for it, not ${shown(value)}.`);
  return undefined;
});

export const signal = {
  fields: [
    ["executionId", textTemplate, "Template for the execution that gets the event."],
    [
      "correlationId",
      textTemplate,
      "Template for the correlationId of the executions that get it: the open ones that wait for it.",
    ],
    ["event", waitedEvent, "The name of the event, or a template for it."],
    ["payload", template, "Template for what the signal carries; null by default."],
  ],
  required: ["event"],
  either: ["executionId", "correlationId"],
  format: 4,
  compile(spec: ActionSpec, base: PlanActionBase): SignalPlanAction {
    const executionId = optionalTemplate(spec.executionId);
    const correlationId = optionalTemplate(spec.correlationId);
    const event = compileTemplate(spec.event as Json);
    const payload = optionalTemplate(spec.payload);
    const needs = needsOf([base.parameters, executionId, correlationId, event, payload]);
    return { ...base, kind: "signal", executionId, correlationId, event, payload, needs };
  },
} satisfies KindRules;
