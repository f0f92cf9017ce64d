/** The rules of a user action, as a worker registers them. */
import {
  actionName,
  integer,
  type ReadObject,
  readObject,
  schemaReference,
} from "../readers/fields.ts";
import { type FieldList, fieldMap } from "../readers/reader.ts";
import type { Report } from "../readers/report.ts";
import { camelCase, retryFields, timeoutFields } from "../readers/user-rules.ts";

export const actionDefinitionFields: FieldList = [
  ["$schema", schemaReference, "For editors: the address of this schema. It is not stored."],
  ["name", actionName, "Name of the action, as workers poll for it."],
  ...retryFields,
  ...timeoutFields,
  ["concurrency", integer(1, 1_000_000), "Not implemented yet: it has no effect."],
];

const actionDefinition = fieldMap(actionDefinitionFields);

export function readActionDefinition(value: unknown, report: Report): ReadObject | undefined {
  return readObject(value, "", report, {
    what: "An action definition",
    fields: actionDefinition,
    required: ["name"],
    nameOf: camelCase,
  });
}
