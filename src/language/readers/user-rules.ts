/** Readers of the rules of user actions, which workers register and workflows override. */
import { limits } from "../../base/limits.ts";
import {
  integer,
  listOf,
  number,
  oneOf,
  readObject,
  seconds,
  someSeconds,
  text,
} from "./fields.ts";
import { type FieldList, fieldMap, type JsonSchema, propertiesOf, reader } from "./reader.ts";
import { quoted } from "./report.ts";

/** What other languages call any error. */
export const anyError: ReadonlySet<string> = new Set(["*", "States.ALL"]);

const codeText = text(limits.errorCodeCharsMax);
const errorCode = reader(codeText.schema, (value, pointer, report) => {
  const code = codeText(value, pointer, report);
  if (typeof code === "string" && anyError.has(code)) {
    const message = `${quoted(code)} is a code like any other; each code that ends the retries is listed.`;
    report.warning(pointer, message);
  }
  return code;
});

export const retryFields: FieldList = [
  ["retryCount", integer(0, limits.retryCountMax), "Retries after the first attempt."],
  ["retryAfterSeconds", seconds, "Delay before a retry."],
  ["retryPolicy", oneOf(["FIXED", "BACKOFF", "EXPONENTIAL"]), "How the delay grows by attempt."],
  ["maxRetryAfterSeconds", seconds, "Longest delay before a retry."],
  ["jitter", number(0, 1), "Random share of the delay, 0 to 1."],
  [
    "nonRetryable",
    listOf(errorCode, limits.nonRetryableCodesMax),
    "Error codes that end the retries.",
  ],
];

export const timeoutFields: FieldList = [
  ["timeoutSeconds", someSeconds, "Limit for one attempt, from its hand-out."],
  ["heartbeatSeconds", seconds, "Longest time between two heartbeats of a worker."],
  ["queueTimeoutSeconds", seconds, "Longest time in the queue."],
  ["totalTimeoutSeconds", seconds, "Limit for all attempts together."],
];

const retrySpec = fieldMap(retryFields);
const retrySchema: JsonSchema = {
  type: "object",
  properties: inBothCases(propertiesOf(retryFields)),
  additionalProperties: false,
};

/** `retry` of an action in a workflow. */
export const retry = reader(retrySchema, (value, pointer, report) =>
  readObject(value, pointer, report, { what: "retry", fields: retrySpec, nameOf: camelCase }),
);

export function camelCase(field: string): string {
  return field.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** Properties in camel case, and in snake case where that is another name. */
export function inBothCases(properties: Readonly<Record<string, JsonSchema>>) {
  const snake = Object.entries(properties).flatMap(([name, schema]): [string, JsonSchema][] => {
    const other = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    return other === name ? [] : [[other, { ...schema, description: `As ${name}.` }]];
  });
  return { ...properties, ...Object.fromEntries(snake) };
}
