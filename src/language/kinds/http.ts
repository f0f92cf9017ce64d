/** http: calls another server. The attempts are made by a worker inside each server. */
import { limits } from "../../base/limits.ts";
import type { ActionSpec } from "../../model/definition.ts";
import type { Json } from "../../model/json.ts";
import { innerQueue } from "../../model/names.ts";
import { compileTemplate, type Template } from "../data/template.ts";
import { integer, listOf, oneOf, type Reader } from "../readers/fields.ts";
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

const method: Reader = (value, pointer, report) =>
  typeof value === "string" && !isLiteral(value)
    ? template(value, pointer, report)
    : oneOf(httpMethods)(value, pointer, report);

const url: Reader = (value, pointer, report) => {
  const isText = typeof value === "string";
  if (isText && (!isLiteral(value) || /^https?:$/.test(protocolOf(value)))) {
    return template(value, pointer, report);
  }
  const message = `It must be a URL that begins with http:// or https://, or a template for one, not ${shown(value)}.`;
  report.problem(pointer, message);
  return undefined;
};

function protocolOf(text: string): string {
  return URL.canParse(text) ? new URL(text).protocol : "";
}

const requestFields = ["method", "url", "headers", "query", "body", "expect", "responseBytesMax"];

export const http = {
  fields: [
    ["method", method],
    ["url", url],
    ["headers", objectTemplate],
    ["query", objectTemplate],
    ["body", template],
    ["expect", listOf(integer(100, 599), limits.httpExpectedMax)],
    ["responseBytesMax", integer(1, limits.httpResponseBytesMax)],
    ["retry", retry],
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
