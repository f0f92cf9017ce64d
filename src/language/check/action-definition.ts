/** The rules of a user action, as a worker registers them and as a workflow overrides them. */
import { limits } from "../../base/limits.ts";
import {
  actionName,
  type Fields,
  integer,
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
import type { Report } from "./report.ts";

const retryFields: readonly (readonly [string, Reader])[] = [
  ["retryCount", integer(0, limits.retryCountMax)],
  ["retryAfterSeconds", seconds],
  ["retryPolicy", oneOf(["FIXED", "BACKOFF", "EXPONENTIAL"])],
  ["maxRetryAfterSeconds", seconds],
  ["jitter", number(0, 1)],
  ["nonRetryable", listOf(text(limits.errorCodeCharsMax), limits.nonRetryableCodesMax)],
];

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
export const retry: Reader = (value, pointer, report) =>
  readObject(value, pointer, report, { what: "retry", fields: retrySpec, nameOf: camelCase });

export function readActionDefinition(value: unknown, report: Report): ReadObject | undefined {
  return readObject(value, "", report, {
    what: "An action definition",
    fields: actionDefinition,
    required: ["name"],
    nameOf: camelCase,
  });
}

function camelCase(field: string): string {
  return field.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
