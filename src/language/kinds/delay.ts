/** delay: for a number of seconds, or until a moment. */
import type { ActionSpec } from "../../model/definition.ts";
import type { Template } from "../data/template.ts";
import { momentTemplate, secondsTemplate } from "../readers/templates.ts";
import { type KindRules, needsOf, optionalTemplate, type PlanActionBase } from "./kind.ts";

export interface DelayPlanAction extends PlanActionBase {
  readonly kind: "delay";
  readonly delaySeconds: Template | undefined;
  readonly until: Template | undefined;
}

export const delay = {
  fields: [
    ["delaySeconds", secondsTemplate, "Seconds to wait; fractions and templates are allowed."],
    ["until", momentTemplate, "When it ends: ISO 8601, or a template for it."],
  ],
  either: ["delaySeconds", "until"],
  compile(spec: ActionSpec, base: PlanActionBase): DelayPlanAction {
    const delaySeconds = optionalTemplate(spec.delaySeconds);
    const until = optionalTemplate(spec.until);
    const needs = needsOf([base.parameters, delaySeconds, until]);
    return { ...base, kind: "delay", delaySeconds, until, needs };
  },
} satisfies KindRules;
