/** delay: waits for a number of seconds or until a moment. What is past is over at once. */
import { limits } from "../../base/limits.ts";
import { cut } from "../../language/data/cut.ts";
import { parseMoment, timeZoneOf } from "../../language/data/moment.ts";
import { type DelayPlanAction, untilForm } from "../../language/kinds/delay.ts";
import type { JsonText } from "../../model/json.ts";
import type { Draft } from "../decision/draft.ts";
import { completeAction } from "../decision/flow.ts";
import { failValue, momentAfter, resolveOrFail, secondsOrFail } from "./common.ts";
import type { ActionRules } from "./rules.ts";

export const delay: ActionRules<DelayPlanAction> = {
  start,
  waits: () => "delay",
  timers: {
    delay(draft, action, timer) {
      draft.spendTimer(action, timer);
      end(draft, action);
    },
  },
};

function start(draft: Draft, action: DelayPlanAction): void {
  const at = dueMoment(draft, action);
  if (at === undefined) return;
  const record = draft.record(action.index);
  const handout = draft.nextHandout();
  if (at <= draft.now) {
    draft.setRecord(action.index, { ...record, startedAt: draft.now });
    end(draft, action);
    return;
  }
  const timer = draft.timerId("delay", action, handout);
  draft.addTimer(timer, at);
  draft.setRecord(action.index, {
    ...record,
    status: "WAITING",
    startedAt: draft.now,
    handout,
    timers: [timer],
    dueAt: at,
  });
  draft.log("action.waiting", action, undefined, `{"until":${at}}`);
}

function end(draft: Draft, action: DelayPlanAction): void {
  completeAction(draft, action, { output: "{}", route: "default" });
}

/** Undefined after the action has been failed. */
function dueMoment(draft: Draft, action: DelayPlanAction): number | undefined {
  const template = action.delaySeconds ?? action.until;
  if (template === undefined) return draft.now;
  const text = resolveOrFail(draft, action, template);
  if (text === undefined) return undefined;
  if (action.delaySeconds !== undefined) {
    const isBounded = !action.takesAnyTime;
    const seconds = secondsOrFail(draft, action, { field: "delaySeconds", text, isBounded });
    return seconds === undefined ? undefined : momentAfter(draft.now, seconds);
  }
  const at = momentIn(draft, action, text);
  const last = momentAfter(draft.now, limits.secondsMax);
  if (at === undefined || at <= last) return at;
  if (action.takesAnyTime) return last;
  failValue(draft, action, `until must be ${untilForm}, not ${cut(text)}.`);
  return undefined;
}

function momentIn(draft: Draft, action: DelayPlanAction, text: JsonText): number | undefined {
  const value: unknown = JSON.parse(text);
  const moment = typeof value === "string" ? parseMoment(value) : undefined;
  if (moment?.kind === "moment") return moment.at;
  if (moment?.kind === "local" && action.timeZone !== undefined) {
    const name = resolveOrFail(draft, action, action.timeZone);
    if (name === undefined) return undefined;
    const zone = name.startsWith('"') ? timeZoneOf(JSON.parse(name)) : undefined;
    if (zone !== undefined) return moment.in(zone);
    failValue(
      draft,
      action,
      `timeZone must be a time zone such as "Europe/Berlin", not ${cut(name)}.`,
    );
    return undefined;
  }
  const other = action.takesAnyTime && typeof value === "string" ? Date.parse(value) : Number.NaN;
  if (!Number.isNaN(other)) return other;
  const wanted =
    moment === undefined ? "an ISO 8601 time" : "a time with an offset, as there is no timeZone";
  failValue(draft, action, `until must be ${wanted}, not ${cut(text)}.`);
  return undefined;
}
