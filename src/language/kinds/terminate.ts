/** terminate: ends the execution at once. */
import type { ActionSpec } from "../../model/definition.ts";
import type { Template } from "../data/template.ts";
import { oneOf, type ReadObject } from "../readers/fields.ts";
import { below, quoted, type Report } from "../readers/report.ts";
import { template } from "../readers/templates.ts";
import { type KindRules, needsOf, optionalTemplate, type PlanActionBase } from "./kind.ts";

export interface TerminatePlanAction extends PlanActionBase {
  readonly kind: "terminate";
  readonly status: "COMPLETED" | "FAILED";
  readonly output: Template | undefined;
  readonly code: Template | undefined;
  readonly reason: Template | undefined;
}

interface TerminateSpec extends ActionSpec {
  readonly status: TerminatePlanAction["status"];
}

/** Nothing follows on it; and what only the other status uses is of no use. */
function checkRoutes(
  action: ReadObject,
  next: readonly string[],
  pointer: string,
  report: Report,
): void {
  for (const route of next) {
    const at = below(below(pointer, "next"), route);
    report.superfluous(at, "It is never taken: a terminate action ends the execution.");
  }
  const unused = action.status === "COMPLETED" ? "code" : "output";
  if (action.status === undefined || action[unused] === undefined) return;
  report.warning(
    below(pointer, unused),
    `It is not used: an execution that is ${action.status} has no ${quoted(unused)}.`,
  );
}

export const terminate = {
  fields: [
    ["status", oneOf(["COMPLETED", "FAILED"]), "How the execution ends."],
    ["output", template, "Template for the result of the COMPLETED execution."],
    [
      "code",
      template,
      "Template for the error code of the FAILED execution; `TERMINATED` if absent.",
    ],
    ["reason", template, "Template for why it ends: the message of the failure."],
  ],
  required: ["status"],
  routes: checkRoutes,
  format: 4,
  compile(spec: TerminateSpec & ActionSpec, base: PlanActionBase): TerminatePlanAction {
    const [output, code, reason] = [spec.output, spec.code, spec.reason].map(optionalTemplate);
    const needs = needsOf([base.parameters, output, code, reason]);
    return { ...base, kind: "terminate", status: spec.status, output, code, reason, needs };
  },
} satisfies KindRules;
