/** map: an action or a workflow for each item of an array. */
import type { ActionSpec } from "../../model/definition.ts";
import { actionName, integer, plainName, version } from "../readers/fields.ts";
import { reader } from "../readers/reader.ts";
import { shown } from "../readers/report.ts";
import { reference } from "../readers/templates.ts";
import type { KindRules, PlanActionBase } from "./kind.ts";

interface MapPlanAction extends PlanActionBase {
  readonly kind: "map";
}

const share = /^(?:100|\d{1,2})(?:\.\d+)?%$/;
const toleratedSchema = {
  anyOf: [
    { type: "integer", minimum: 0 },
    { type: "string", pattern: share.source },
  ],
};
const tolerated = reader(toleratedSchema, (value, pointer, report) => {
  if (typeof value === "string" && share.test(value)) return value;
  if (Number.isInteger(value) && Number(value) >= 0) return Number(value);
  report.problem(pointer, `It must be a number or a share such as "20%", not ${shown(value)}.`);
  return undefined;
});

export const map = {
  fields: [
    ["items", reference, "Reference to the array."],
    ["action", actionName, "User action for each item."],
    ["workflow", plainName, "Workflow for each item."],
    ["version", version, "Version of the workflow; by default the newest."],
    ["maxConcurrency", integer(1, 1_000_000), "Most items at the same time."],
    ["tolerate", tolerated, "Failures that are tolerated: a number, or a share such as 20%."],
  ],
  required: ["items"],
  either: ["action", "workflow"],
  ownNames: ["item", "index"],
  isBuilt: false,
  compile: (_: ActionSpec, base: PlanActionBase): MapPlanAction => ({ ...base, kind: "map" }),
} satisfies KindRules;
