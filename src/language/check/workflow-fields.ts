/** The fields of a workflow definition, besides its actions. */
import { limits } from "../../base/limits.ts";
import type { Json } from "../../model/json.ts";
import {
  description,
  isObject,
  otherWorkflow,
  readObject,
  schemaReference,
  seconds,
  someSeconds,
  version,
  workflowName,
} from "../readers/fields.ts";
import { anyCase, type FieldList, fieldMap, propertiesOf, reader } from "../readers/reader.ts";
import { below, nearestHint, shown } from "../readers/report.ts";
import { template } from "../readers/templates.ts";
import { soughtId } from "./common-fields.ts";

const followUpForm = `"NOOP", "DELETE" or {"workflow": "…", "parameters": {…}}`;

const followUpFields: FieldList = [
  ["workflow", otherWorkflow, "The workflow to start."],
  ["parameters", template, "Template for its input."],
];
const followUpRules = {
  what: "A workflow that follows",
  fields: fieldMap(followUpFields),
  required: ["workflow"],
};
const followUpSchema = {
  anyOf: [
    anyCase(["NOOP", "DELETE"]),
    {
      type: "object",
      properties: propertiesOf(followUpFields),
      required: followUpRules.required,
      additionalProperties: false,
    },
  ],
};
const followUp = reader(followUpSchema, (value, pointer, report) => {
  const upper = typeof value === "string" ? value.toUpperCase() : value;
  if (upper === "NOOP" || upper === "DELETE") return upper;
  if (isObject(value)) return readObject(value, pointer, report, followUpRules);
  report.problem(pointer, () => {
    const hint = typeof value === "string" ? nearestHint(value, ["NOOP", "DELETE"]) : "";
    return `It must be ${followUpForm}, not ${shown(value)}${hint}.`;
  });
  return undefined;
});

const rootSchema = {
  anyOf: [
    soughtId.schema,
    { type: "array", items: soughtId.schema, minItems: 1, maxItems: limits.rootActionsMax },
  ],
};
const rootAction = reader(rootSchema, (value, pointer, report) => {
  if (!Array.isArray(value)) return soughtId(value, pointer, report);
  if (value.length === 0 || value.length > limits.rootActionsMax) {
    const range = `1 to ${limits.rootActionsMax}`;
    report.problem(pointer, `It must list ${range} ids, not ${value.length}.`);
    return undefined;
  }
  return value.map((id, index) => soughtId(id, below(pointer, index), report) ?? null);
});

/** Part of the language, without effect so far. */
const later = reader({}, (value, pointer, report) => {
  report.warning(pointer, "This is not implemented yet: it has no effect.");
  return value as Json;
});

export const workflowFields: FieldList = [
  ["$schema", schemaReference, "For editors: the address of this schema. It is not stored."],
  ["name", workflowName, "Name of the workflow."],
  // It may come back from a definition that was read.
  ["version", version, "Given by the server; ignored when a definition is saved."],
  ["description", description, "Free text."],
  ["rootAction", rootAction, "Id of the first action, or an array of ids."],
  ["output", template, "Template for the result; by default the outputs of the last actions."],
  ["timeoutSeconds", someSeconds, "For the whole execution, pauses not counted."],
  ["onSuccess", followUp, "What follows a COMPLETED execution: NOOP, DELETE, or a workflow."],
  ["onFailure", followUp, "What follows a FAILED or TIMED_OUT execution."],
  ["retentionSeconds", seconds, "How long a finished execution is kept."],
  ["sensitive", later, "Not implemented yet: it has no effect."],
  ["inputSchema", later, "Not implemented yet: it has no effect."],
  ["concurrency", later, "Not implemented yet: it has no effect."],
];

export const workflowRequired = ["name", "rootAction", "actions"];

/** Fields of an inline definition, which has no name: what it is part of has one. */
const inlineNames: ReadonlySet<string> = new Set(["rootAction", "output", "timeoutSeconds"]);
export const inlineFields: FieldList = workflowFields.filter(([name]) => inlineNames.has(name));

export const inlineRequired = ["rootAction", "actions"];
