/** The rules of a user action, as a worker registers them and as a workflow overrides them. */
import { limits } from "../../limits.ts";
import type { Json } from "../../model/json.ts";
import {
  actionName,
  type Fields,
  integer,
  isObject,
  listOf,
  number,
  oneOf,
  type Reader,
  type ReadObject,
  readObject,
  seconds,
  someSeconds,
  text,
} from "./fields.ts";
import { below, type Report } from "./report.ts";

const retryPolicy = oneOf(["FIXED", "BACKOFF", "EXPONENTIAL"]);

const retryFields: readonly (readonly [string, Reader])[] = [
  ["retryCount", integer(0, limits.retryCountMax)],
  ["retryAfterSeconds", seconds],
  // Old clients send an empty text for what is not set.
  ["retryPolicy", (value, at, report) => emptyIfLenient(value, report) ?? retryPolicy(value, at, report)],
  ["maxRetryAfterSeconds", seconds],
  ["jitter", number(0, 1)],
  ["nonRetryable", listOf(text(limits.errorCodeCharsMax), limits.nonRetryableCodesMax)],
];

function emptyIfLenient(value: unknown, report: Report): Json | undefined {
  return report.lenient && value === "" ? "EXPONENTIAL" : undefined;
}

export const timeoutFields: readonly (readonly [string, Reader])[] = [
  ["timeoutSeconds", someSeconds],
  ["heartbeatSeconds", seconds],
  ["queueTimeoutSeconds", seconds],
  ["totalTimeoutSeconds", seconds],
];

const retrySpec: Fields = new Map(retryFields);

const actionDefinition: Fields = new Map([
  ["name", actionName],
  ...retryFields,
  ...timeoutFields,
  ["concurrency", integer(1, 1_000_000)],
]);

/** `retry` of an action in a workflow. */
export const retry: Reader = (value, pointer, report) => {
  const read = camelCased(value, pointer, report, retrySpec);
  return readObject(read, pointer, report, { what: "retry", fields: retrySpec });
};

export function readActionDefinition(value: unknown, report: Report): ReadObject | undefined {
  const read = camelCased(value, "", report, actionDefinition);
  const what = "An action definition";
  return readObject(read, "", report, { what, fields: actionDefinition, required: ["name"] });
}

/** Known fields may be written in snake case; both spellings at once are one too many. */
function camelCased(value: unknown, pointer: string, report: Report, fields: Fields): unknown {
  if (!isObject(value)) return value;
  const entries = Object.entries(value).map(([field, member]): [string, unknown] => {
    const camel = field.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
    if (camel === field || !fields.has(camel)) return [field, member];
    if (Object.hasOwn(value, camel)) {
      report.problem(below(pointer, field), `It is given twice: as ${field} and as ${camel}.`);
    }
    return [camel, member];
  });
  return Object.fromEntries(entries);
}
