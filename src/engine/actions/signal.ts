/**
 * signal: sends an event to other executions, and waits until their store has it. A message that is
 * not answered for long is sent again: to its targets it is the same signal.
 */
import { limits } from "../../base/limits.ts";
import { cut } from "../../language/data/cut.ts";
import type { Template } from "../../language/data/template.ts";
import type { SignalPlanAction } from "../../language/kinds/signal.ts";
import { isWaitedEvent, waitedEventForm } from "../../language/kinds/wait.ts";
import type { EventAnswer } from "../../model/event.ts";
import type { SignalMessage } from "../../model/message.ts";
import { askAt, withText } from "../decision/children.ts";
import type { Draft } from "../decision/draft.ts";
import { completeAction, failAction } from "../decision/flow.ts";
import { failValue, resolveOrFail, withNeeds } from "./common.ts";
import { failsAsOlder } from "./not-built.ts";
import { type ActionRules, accepted, type EventOf } from "./rules.ts";

const targetForm = `text of 1 to ${limits.correlationIdCharsMax} characters`;

function isTarget(text: string): boolean {
  return text.length > 0 && text.length <= limits.correlationIdCharsMax;
}

export const signal: ActionRules<SignalPlanAction> = {
  start,
  waits: () => "sending",
  timers: {
    send(draft, action, timer) {
      const { handout, startedAt = draft.now } = draft.record(action.index);
      withNeeds(draft, action, () => {
        if (handout === undefined || !send(draft, action, { handout, startedAt })) return;
        draft.addTimer(timer, askAt(draft, startedAt));
      });
    },
  },
  events: { "signal-sent": applySent },
};

function start(draft: Draft, action: SignalPlanAction): void {
  if (failsAsOlder(draft, action)) return;
  const handout = draft.nextHandout();
  const startedAt = draft.now;
  if (!send(draft, action, { handout, startedAt })) return;
  const timer = draft.timerId("send", action, handout);
  draft.addTimer(timer, askAt(draft, startedAt));
  draft.setRecord(action.index, {
    ...draft.record(action.index),
    status: "WAITING",
    startedAt,
    handout,
    timers: [timer],
  });
  draft.log("action.waiting", action);
}

/** False after the action has been failed. */
function send(
  draft: Draft,
  action: SignalPlanAction,
  { handout, startedAt: sentAt }: { readonly handout: number; readonly startedAt: number },
): boolean {
  const event = textOrFail(draft, action, ["event", action.event, isWaitedEvent, waitedEventForm]);
  if (event === undefined) return false;
  const { executionId, correlationId } = action;
  const target = executionId ?? correlationId;
  if (target === undefined) return false;
  const to = executionId === undefined ? "correlationId" : "executionId";
  const id = textOrFail(draft, action, [to, target, isTarget, targetForm]);
  if (id === undefined) return false;
  const payload = action.payload ? resolveOrFail(draft, action, action.payload) : "null";
  if (payload === undefined) return false;
  const message: SignalMessage = { type: "signal", handout, sentAt, event, [to]: id };
  draft.addMessage(`signal:${handout}`, withText(message, "payload", payload));
  return true;
}

type TextField = readonly [
  name: string,
  template: Template,
  fits: (text: string) => boolean,
  form: string,
];

/** Undefined after the action has been failed. */
function textOrFail(
  draft: Draft,
  action: SignalPlanAction,
  [name, template, fits, form]: TextField,
): string | undefined {
  const text = resolveOrFail(draft, action, template);
  if (text === undefined) return undefined;
  const value: unknown = JSON.parse(text);
  if (typeof value === "string" && fits(value)) return value;
  failValue(draft, action, `${name} must be ${form}, not ${cut(text)}.`);
  return undefined;
}

function applySent(
  draft: Draft,
  action: SignalPlanAction,
  { sent, refusal }: EventOf<"signal-sent">,
): EventAnswer {
  if (refusal === undefined) {
    completeAction(draft, action, { output: JSON.stringify({ sent }), route: "default" });
  } else {
    const failure = { code: "SIGNAL_REFUSED", message: refusal, details: { sent } };
    failAction(draft, action, { failure });
  }
  return accepted;
}
