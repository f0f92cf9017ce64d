/** delay: for a number of seconds, or until a moment. */
import { inTime } from "../../base/amount.ts";
import { limits } from "../../base/limits.ts";
import type { ActionSpec } from "../../model/definition.ts";
import { parseMoment, timeZoneOf } from "../data/moment.ts";
import { literalTemplate, type Template } from "../data/template.ts";
import type { ReadObject } from "../readers/fields.ts";
import { below, type Report } from "../readers/report.ts";
import {
  literalText,
  momentTemplate,
  secondsTemplate,
  timeZoneTemplate,
} from "../readers/templates.ts";
import {
  type KindRules,
  needsOf,
  optionalTemplate,
  type PlanActionBase,
  type PlanContext,
} from "./kind.ts";

export interface DelayPlanAction extends PlanActionBase {
  readonly kind: "delay";
  readonly delaySeconds: Template | undefined;
  readonly until: Template | undefined;
  readonly timeZone: Template | undefined;
  /**
   * As before format 4: what is no ISO 8601 may be another way to write a time, and what is beyond the
   * bounds is moved to them.
   */
  readonly takesAnyTime: boolean;
}

export const untilForm = `a time at most ${inTime(limits.secondsMax * 1000)} from now`;

/** Definitions before this format may have local times without a time zone, which are in UTC. */
const zoneFormat = 4;

/** A literal time is in one zone: that of its offset, or the one that is named. */
function checkZone(action: ReadObject, pointer: string, report: Report): void {
  const { until, timeZone } = action;
  const zonePointer = below(pointer, "timeZone");
  if (timeZone !== undefined) {
    report.isNew({ pointer: zonePointer, what: "A delay with a time zone", format: zoneFormat });
  }
  if (until === undefined && timeZone !== undefined) {
    report.problem(zonePointer, 'It has no effect without "until".');
  }
  const literal = typeof until === "string" ? literalText(until) : undefined;
  const moment = literal === undefined ? undefined : parseMoment(literal);
  if (moment?.kind === "local" && timeZone === undefined) {
    const message =
      'It has no offset. Add one, such as Z, or name a time zone beside it, such as "timeZone": "Europe/Berlin".';
    report.problem(below(pointer, "until"), message);
  } else if (moment?.kind === "moment" && timeZone !== undefined) {
    report.warning(zonePointer, 'It has no effect: "until" has an offset.');
  }
  const zone = typeof timeZone === "string" ? timeZoneOf(literalText(timeZone) ?? "") : undefined;
  const at = moment?.kind === "local" ? zone && moment.in(zone) : moment?.at;
  if (at !== undefined) report.moments.push({ pointer: below(pointer, "until"), at });
}

export const delay = {
  fields: [
    ["delaySeconds", secondsTemplate, "Seconds to wait; fractions and templates are allowed."],
    ["until", momentTemplate, "When it ends: ISO 8601, or a template for it."],
    [
      "timeZone",
      timeZoneTemplate,
      "IANA time zone of an `until` without an offset, or a template.",
    ],
  ],
  either: ["delaySeconds", "until"],
  check: checkZone,
  failures: [],
  compile(spec: ActionSpec, base: PlanActionBase, { format }: PlanContext): DelayPlanAction {
    const delaySeconds = optionalTemplate(spec.delaySeconds);
    const until = optionalTemplate(spec.until);
    const takesAnyTime = format < zoneFormat;
    const timeZone = takesAnyTime ? literalTemplate("UTC") : optionalTemplate(spec.timeZone);
    const needs = needsOf([base.parameters, delaySeconds, until, timeZone]);
    return { ...base, kind: "delay", delaySeconds, until, timeZone, takesAnyTime, needs };
  },
} satisfies KindRules;
