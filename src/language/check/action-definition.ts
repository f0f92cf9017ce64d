/** The rules of a user action, as a worker registers them. */
import { parseBrokerAddress } from "../../brokers/address.ts";
import {
  actionName,
  integer,
  type ReadObject,
  readObject,
  schemaReference,
} from "../readers/fields.ts";
import { type FieldList, fieldMap, propertiesOf, reader } from "../readers/reader.ts";
import { type Report, shown } from "../readers/report.ts";
import { camelCase, retryFields, timeoutFields } from "../readers/user-rules.ts";

const brokerAddress = reader({ type: "string" }, (value, pointer, report) => {
  if (typeof value !== "string") {
    report.problem(pointer, `It must be a text, not ${shown(value)}.`);
    return undefined;
  }
  const parsed = parseBrokerAddress(value);
  if ("value" in parsed) return value;
  report.problem(pointer, `It ${parsed.problem}, not ${shown(value)}.`);
  return undefined;
});

const deliverFields: FieldList = [
  [
    "to",
    brokerAddress,
    "`kafka:<topic>`, `sqs:<queue name>[?region=…]` or `sqs:<queue URL>`: where its tasks are sent.",
  ],
];
const deliverRules = { what: "deliver", fields: fieldMap(deliverFields), required: ["to"] };
const deliverSchema = {
  type: "object",
  properties: propertiesOf(deliverFields),
  required: deliverRules.required,
  additionalProperties: false,
};
const deliver = reader(deliverSchema, (value, pointer, report) => {
  report.isNew({ pointer, what: "`deliver`", format: 5 });
  return readObject(value, pointer, report, deliverRules);
});

export const actionDefinitionFields: FieldList = [
  ["$schema", schemaReference, "For editors: the address of this schema. It is not stored."],
  ["name", actionName, "Name of the action, as workers poll for it."],
  ...retryFields,
  ...timeoutFields,
  ["concurrency", integer(1, 1_000_000), "Not implemented yet: it has no effect."],
  ["deliver", deliver, "Consumers of a broker do its tasks: each gets a ticket by a message."],
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
