/** map: an action or a workflow for each item of an array. */
import type { ActionSpec } from "../../model/definition.ts";
import { actionName, integer, plainName, type Reader, version } from "../readers/fields.ts";
import { shown } from "../readers/report.ts";
import { reference } from "../readers/templates.ts";
import type { KindRules, PlanActionBase } from "./kind.ts";

export interface MapPlanAction extends PlanActionBase {
  readonly kind: "map";
}

const tolerated: Reader = (value, pointer, report) => {
  if (typeof value === "string" && /^(?:100|\d{1,2})(?:\.\d+)?%$/.test(value)) return value;
  if (Number.isInteger(value) && Number(value) >= 0) return Number(value);
  report.problem(pointer, `It must be a number or a share such as "20%", not ${shown(value)}.`);
  return undefined;
};

export const map = {
  fields: [
    ["items", reference],
    ["action", actionName],
    ["workflow", plainName],
    ["version", version],
    ["maxConcurrency", integer(1, 1_000_000)],
    ["tolerate", tolerated],
  ],
  required: ["items"],
  either: ["action", "workflow"],
  ownNames: ["item", "index"],
  isBuilt: false,
  compile: (_: ActionSpec, base: PlanActionBase): MapPlanAction => ({ ...base, kind: "map" }),
} satisfies KindRules;
