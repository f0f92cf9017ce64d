/** wait: until a signal of one of some names comes, or a time is over. */
import { limits } from "../../base/limits.ts";
import type { ActionSpec } from "../../model/definition.ts";
import { eventNameForm, isEventName } from "../../model/names.ts";
import { compileTemplate, literalTemplate, type Template } from "../data/template.ts";
import { eventName, type ReadObject } from "../readers/fields.ts";
import { reader } from "../readers/reader.ts";
import { below, nearestHint, quoted, type Report } from "../readers/report.ts";
import { isLiteral, literalText, secondsTemplate, template } from "../readers/templates.ts";
import {
  type KindRules,
  needsOf,
  optionalTemplate,
  type PlanActionBase,
  type PlanContext,
} from "./kind.ts";

export interface WaitPlanAction extends PlanActionBase {
  readonly kind: "wait";
  /** Each becomes the name of an event. */
  readonly events: readonly Template[];
  readonly timeoutSeconds: Template | undefined;
  /** As before format 4: numbers beyond the bounds of literals are moved to them. */
  readonly takesAnySeconds: boolean;
}

interface WaitSpec extends ActionSpec {
  readonly event: string | readonly string[];
}

/** Names of other routes of a wait. */
const reserved = ["default", "timeout"];

/** What a template may become that names an event. */
export function isWaitedEvent(name: unknown): name is string {
  return typeof name === "string" && isEventName(name) && !reserved.includes(name);
}

export const waitedEventForm = `text of ${eventNameForm}, and not "default" or "timeout"`;

const waitedSchema = {
  anyOf: [
    { ...eventName.schema, not: { enum: reserved } },
    { type: "string", pattern: String.raw`\$` },
  ],
};
export const waitedEvent = reader(waitedSchema, (value, pointer, report) => {
  if (typeof value === "string" && !isLiteral(value)) {
    report.isNew({ pointer, what: "A template as event", format: templateFormat });
    return template(value, pointer, report);
  }
  if (typeof value === "string" && reserved.includes(value)) {
    report.problem(pointer, `The event name ${quoted(value)} is reserved for routes.`);
    return undefined;
  }
  return eventName(value, pointer, report);
});

const eventsSchema = {
  anyOf: [
    waitedSchema,
    { type: "array", items: waitedSchema, minItems: 1, maxItems: limits.waitEventsMax },
  ],
};
const waitedEvents = reader(eventsSchema, (value, pointer, report) => {
  if (!Array.isArray(value)) return waitedEvent(value, pointer, report);
  if (value.length === 0 || value.length > limits.waitEventsMax) {
    const range = `1 to ${limits.waitEventsMax}`;
    report.problem(pointer, `It must list ${range} events, not ${value.length}.`);
    return undefined;
  }
  const names = value.map((name, index) => waitedEvent(name, below(pointer, index), report));
  return names.filter((name) => name !== undefined);
});

/** Old definitions say 0 where a wait has no end, which is the default. */
const waitSeconds = reader(secondsTemplate.schema, (value, pointer, report) =>
  report.lenient && value === 0 ? undefined : secondsTemplate(value, pointer, report),
);

/** Its events, if they are known, `timeout` where it has one, and `default`. */
function checkRoutes(
  action: ReadObject,
  next: readonly string[],
  pointer: string,
  report: Report,
): void {
  if (action.event === undefined) return;
  const names = ([action.event].flat() as string[]).map(literalText);
  const events = names.filter((name) => name !== undefined);
  const anyEvent = events.length < names.length;
  for (const route of next) {
    if (route === "default" || events.includes(route)) continue;
    const at = below(below(pointer, "next"), route);
    if (route !== "timeout") {
      if (anyEvent) continue;
      report.problem(at, () => {
        const hint = nearestHint(route, [...events, "timeout", "default"]);
        return `The wait has no event ${quoted(route)}${hint}.`;
      });
    } else if (action.timeoutSeconds === undefined) {
      report.superfluous(at, `It is never taken: the wait has no "timeoutSeconds".`);
    }
  }
}

/** In definitions before this format any text is the name of an event, and any number a time. */
const templateFormat = 4;

export const wait = {
  fields: [
    [
      "event",
      waitedEvents,
      "The event that it waits for, or a list of them: templates; each is a route.",
    ],
    [
      "timeoutSeconds",
      waitSeconds,
      "Then it takes the route `timeout`; without it the wait has no end.",
    ],
  ],
  required: ["event"],
  routes: checkRoutes,
  failures: ["EVENT_INVALID"],
  compile(spec: WaitSpec, base: PlanActionBase, { format }: PlanContext): WaitPlanAction {
    const timeoutSeconds = optionalTemplate(spec.timeoutSeconds);
    const compileEvent = format < templateFormat ? literalTemplate : compileTemplate;
    const events = [spec.event].flat().map(compileEvent);
    const needs = needsOf([base.parameters, timeoutSeconds, ...events]);
    const takesAnySeconds = format < templateFormat;
    return { ...base, kind: "wait", events, timeoutSeconds, takesAnySeconds, needs };
  },
} satisfies KindRules;
