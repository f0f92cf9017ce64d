/** http: calls another server. The attempts are made by a worker inside each server. */
import { limits } from "../../base/limits.ts";
import type { ActionSpec } from "../../model/definition.ts";
import type { Json } from "../../model/json.ts";
import { innerQueue } from "../../model/names.ts";
import { compileTemplate, type Template } from "../data/template.ts";
import { integer, listOf, oneOf } from "../readers/fields.ts";
import { anyCase, reader } from "../readers/reader.ts";
import { shown } from "../readers/report.ts";
import { isLiteral, objectTemplate, template } from "../readers/templates.ts";
import { retry, timeoutFields } from "../readers/user-rules.ts";
import { type KindRules, needsOf, type PlanActionBase, type PlanContext } from "./kind.ts";
import { compileTask, type TaskPlanAction, type TaskSpec } from "./task.ts";

export interface HttpPlanAction extends TaskPlanAction {
  readonly kind: "http";
  /** The parameters of its tasks: see runtime/inner/http-action.ts. */
  readonly request: Template;
}

export const httpMethods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

const literalMethod = oneOf(httpMethods);
const methodSchema = {
  anyOf: [...anyCase(httpMethods).anyOf, { type: "string", pattern: String.raw`\$` }],
};
const method = reader(methodSchema, (value, pointer, report) =>
  typeof value === "string" && !isLiteral(value)
    ? template(value, pointer, report)
    : literalMethod(value, pointer, report),
);

const urlSchema = {
  type: "string",
  pattern: String.raw`^\s*[Hh][Tt][Tt][Pp][Ss]?:|\$`,
};
const url = reader(urlSchema, (value, pointer, report) => {
  const isText = typeof value === "string";
  if (isText && (!isLiteral(value) || /^https?:$/.test(protocolOf(value)))) {
    return template(value, pointer, report);
  }
  const message = `It must be a URL that begins with http:// or https://, or a template for one, not ${shown(value)}.`;
  report.problem(pointer, message);
  return undefined;
});

function protocolOf(text: string): string {
  return URL.canParse(text) ? new URL(text).protocol : "";
}

const requestFields = ["method", "url", "headers", "query", "body", "expect", "responseBytesMax"];

export const http = {
  fields: [
    ["method", method, "GET by default; a template is allowed."],
    ["url", url, "Where to: http:// or https://, or a template for it."],
    ["headers", objectTemplate, "Template for the headers, by name."],
    ["query", objectTemplate, "Template for parameters that are added to the URL."],
    ["body", template, "Template for the body; anything but text is sent as JSON."],
    [
      "expect",
      listOf(integer(100, 599), limits.httpExpectedMax),
      "Statuses that complete the action; by default all below 400.",
    ],
    ["responseBytesMax", integer(1, limits.httpResponseBytesMax), "Largest body of a response."],
    ["retry", retry, "How failed attempts are repeated."],
    ...timeoutFields,
  ],
  required: ["url"],
  format: 3,
  compile(spec: TaskSpec & ActionSpec, base: PlanActionBase, of: PlanContext): HttpPlanAction {
    const values = spec as unknown as Readonly<Record<string, Json | undefined>>;
    const given = requestFields.flatMap((name): [string, Json][] => {
      const value = values[name];
      return value === undefined ? [] : [[name, value]];
    });
    const request = compileTemplate(Object.fromEntries(given));
    const timeoutSeconds = spec.timeoutSeconds ?? limits.httpTimeoutSecondsDefault;
    const task = compileTask({ ...spec, queue: innerQueue, timeoutSeconds }, base, of);
    return { ...task, kind: "http", request, needs: needsOf([request]) };
  },
} satisfies KindRules;
