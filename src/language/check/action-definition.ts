/** The rules of a user action, as a worker registers them. */
import {
  actionName,
  type Fields,
  integer,
  type ReadObject,
  readObject,
} from "../readers/fields.ts";
import type { Report } from "../readers/report.ts";
import { camelCase, retryFields, timeoutFields } from "../readers/user-rules.ts";

const actionDefinition: Fields = new Map([
  ["name", actionName],
  ...retryFields,
  ...timeoutFields,
  ["concurrency", integer(1, 1_000_000)],
]);

export function readActionDefinition(value: unknown, report: Report): ReadObject | undefined {
  return readObject(value, "", report, {
    what: "An action definition",
    fields: actionDefinition,
    required: ["name"],
    nameOf: camelCase,
  });
}
