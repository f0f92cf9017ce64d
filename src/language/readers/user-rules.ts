/** Readers of the rules of user actions, which workers register and workflows override. */
import { limits } from "../../base/limits.ts";
import {
  type FieldList,
  type Fields,
  integer,
  listOf,
  number,
  oneOf,
  type Reader,
  readObject,
  seconds,
  someSeconds,
  text,
} from "./fields.ts";

export const retryFields: FieldList = [
  ["retryCount", integer(0, limits.retryCountMax)],
  ["retryAfterSeconds", seconds],
  ["retryPolicy", oneOf(["FIXED", "BACKOFF", "EXPONENTIAL"])],
  ["maxRetryAfterSeconds", seconds],
  ["jitter", number(0, 1)],
  ["nonRetryable", listOf(text(limits.errorCodeCharsMax), limits.nonRetryableCodesMax)],
];

export const timeoutFields: FieldList = [
  ["timeoutSeconds", someSeconds],
  ["heartbeatSeconds", seconds],
  ["queueTimeoutSeconds", seconds],
  ["totalTimeoutSeconds", seconds],
];

const retrySpec: Fields = new Map(retryFields);

/** `retry` of an action in a workflow. */
export const retry: Reader = (value, pointer, report) =>
  readObject(value, pointer, report, { what: "retry", fields: retrySpec, nameOf: camelCase });

export function camelCase(field: string): string {
  return field.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
