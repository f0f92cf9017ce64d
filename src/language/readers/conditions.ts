/** Readers of conditions: see data/condition.ts. */
import { limits } from "../../base/limits.ts";
import { isExactNumber } from "../../model/numbers.ts";
import { jsonTypes, operators } from "../data/condition.ts";
import { instantOf } from "../data/instant.ts";
import { isDefinite } from "../data/path-step.ts";
import { parseWholeReference } from "../data/template.ts";
import { boolean, isObject, oneOf, type ReadObject, readObject } from "./fields.ts";
import {
  type FieldList,
  fieldMap,
  type JsonSchema,
  propertiesOf,
  type Read,
  reader,
} from "./reader.ts";
import { below, nearestHint, quoted, type Report, shown } from "./report.ts";
import { isLiteral, reference, template } from "./templates.ts";

/** Names the schema below, which holds itself: see check/schema.ts. */
const conditionName: JsonSchema = { $ref: "Condition" };

const manyConditions = { type: "array", items: conditionName, minItems: 1 };
const conditions = reader(manyConditions, (value, pointer, report) => {
  if (Array.isArray(value) && value.length > 0) {
    return value.map((one, index) => readCondition(one, below(pointer, index), report) ?? null);
  }
  const found = Array.isArray(value) ? "none" : shown(value);
  report.problem(pointer, `It must list one condition at least, not ${found}.`);
  return undefined;
});

const numberOrText = { anyOf: [{ type: "number" }, { type: "string" }] };
const arrayOrText = { anyOf: [{ type: "array" }, { type: "string" }] };

/** What is in an order: numbers, and texts, which may be times. */
const inOrder = reader(numberOrText, (value, pointer, report) => {
  if (typeof value === "string") {
    if (/^\d{4}-\d\d-\d\d/.test(value) && instantOf(value) === undefined) {
      const example = "2030-01-31T12:00:00Z";
      report.warning(
        pointer,
        `It is compared as text, not as a time: times have an offset, as ${example} does.`,
      );
    }
    return template(value, pointer, report);
  }
  if (typeof value === "number" || isExactNumber(value)) return template(value, pointer, report);
  const message = `It must be a number, text or a reference to one, not ${shown(value)}.`;
  report.problem(pointer, message);
  return undefined;
});

const someText = reader({ type: "string" }, (value, pointer, report) => {
  if (typeof value === "string") return template(value, pointer, report);
  report.problem(pointer, `It must be text or a reference to it, not ${shown(value)}.`);
  return undefined;
});

const among = reader(arrayOrText, (value, pointer, report) => {
  if (Array.isArray(value)) return template(value, pointer, report);
  if (typeof value === "string" && !isLiteral(value)) return reference(value, pointer, report);
  report.problem(pointer, `It must be an array or a reference to one, not ${shown(value)}.`);
  return undefined;
});

const conditionFields: FieldList = [
  ["ref", reference, "Reference to the value that is tested."],
  ["eq", template, "It is equal to this."],
  ["ne", template, "It is not equal to this, or missing."],
  ["gt", inOrder, "It is greater than this, or later."],
  ["gte", inOrder, "It is greater than this, later, or equal."],
  ["lt", inOrder, "It is less than this, or earlier."],
  ["lte", inOrder, "It is less than this, earlier, or equal."],
  ["in", among, "It is equal to an element of this array."],
  ["exists", boolean, "Whether there is such a value; null is one."],
  ["isNull", boolean, "Whether the value is null; a missing value is neither."],
  ["startsWith", someText, "It is text that begins with this."],
  ["contains", template, "It is text with this in it, or an array with this element."],
  ["type", oneOf(jsonTypes), "Its JSON type."],
  ["all", conditions, "All of these hold."],
  ["any", conditions, "One of these holds at least."],
  [
    "not",
    reader(conditionName, (value, pointer, report) => readCondition(value, pointer, report)),
    "This does not hold.",
  ],
];

const forms = ["ref", "all", "any", "not"];

export const conditionSchema: JsonSchema = {
  description: "A condition: a reference with operators that all hold, or all, any or not.",
  type: "object",
  properties: propertiesOf(conditionFields),
  oneOf: forms.map((form) => ({ required: [form] })),
  additionalProperties: false,
};

const rules = {
  what: "A condition",
  fields: fieldMap(conditionFields),
  elsewhere: (field: string) => {
    const hint = nearestHint(field, operators) || `; there are ${operators.join(", ")}`;
    return `A condition has no operator ${quoted(field)}${hint}.`;
  },
};

/** `when` of a case, and what a loop asks. */
export const condition = reader(conditionName, (value, pointer, report) => {
  const most = limits.conditionPartsMax;
  if (countParts(value) <= most) return readCondition(value, pointer, report);
  report.problem(pointer, `It holds more than ${most} values; a condition is decided in one go.`);
  return undefined;
});

/** How many JSON values it is. The depth has been checked before, so recursion is bounded. */
function countParts(value: unknown): number {
  if (typeof value !== "object" || value === null) return 1;
  return Object.values(value).reduce((count: number, inner) => count + countParts(inner), 1);
}

const readCondition: Read = (value, pointer, report) => {
  const read = readObject(value, pointer, report, rules);
  if (read === undefined || !isObject(value)) return undefined;
  // Over the legacy routes empty and unknown members are left out.
  checkForm(Object.keys(report.lenient ? read : value), pointer, report);
  warnOfLists(read, pointer, report);
  return read;
};

function checkForm(given: readonly string[], pointer: string, report: Report): void {
  const form = forms.filter((one) => given.includes(one));
  if (form.length !== 1) {
    const found = form.length === 0 ? "none of them" : form.map(quoted).join(" and ");
    const message = `A condition has exactly one of ${forms.map(quoted).join(", ")}; it has ${found}.`;
    report.problem(pointer, message);
  } else if (form[0] !== "ref" && given.length > 1) {
    const other = given.find((one) => one !== form[0])!;
    report.problem(pointer, `Beside ${quoted(form[0]!)} there can be no ${quoted(other)}.`);
  } else if (form[0] === "ref" && given.length === 1) {
    const message = `A condition needs an operator beside "ref": ${operators.join(", ")}.`;
    report.problem(pointer, message);
  }
}

/** What they ask of an array that a path finds may be true. */
const forLists: ReadonlySet<string> = new Set(["ref", "eq", "ne", "contains", "type"]);

function warnOfLists(read: ReadObject, pointer: string, report: Report): void {
  const asks = Object.keys(read).find((name) => !forLists.has(name));
  if (typeof read.ref !== "string" || asks === undefined || isLiteral(read.ref)) return;
  if (isDefinite(parseWholeReference(read.ref).steps)) return;
  const message = `${quoted(read.ref)} always finds an array, which ${quoted(asks)} says nothing about; "contains" looks into it.`;
  report.warning(below(pointer, "ref"), message);
}
