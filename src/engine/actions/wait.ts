/**
 * wait: until a signal of one of its names arrives, or its time is up. A signal that comes early is
 * kept; of several waits, the one that started first consumes it.
 */
import { defined } from "../../base/defined.ts";
import { cut } from "../../language/data/cut.ts";
import { isWaitedEvent, type WaitPlanAction, waitedEventForm } from "../../language/kinds/wait.ts";
import type { Draft } from "../decision/draft.ts";
import { completeAction, failAction } from "../decision/flow.ts";
import { type Signal, takeSignal } from "../decision/signals.ts";
import { momentAfter, resolveOrFail, secondsOrFail } from "./common.ts";
import { type ActionRules, accepted } from "./rules.ts";

export const wait: ActionRules<WaitPlanAction> = {
  start,
  timers: { wait: timeOut },
  events: {
    signal(draft, action, signal) {
      receive(draft, action, signal);
      return accepted;
    },
  },
  waits: () => "signal",
  owns: (_state, _action, { events }) => ({ signal: events !== undefined }),
};

function start(draft: Draft, action: WaitPlanAction): void {
  const { now } = draft;
  const at = timeoutMoment(draft, action);
  if (at === "failed") return;
  const events = eventsOf(draft, action);
  if (events === undefined) return;
  const record = draft.record(action.index);
  const early = takeSignal(draft, events);
  if (early !== undefined) {
    draft.setRecord(action.index, { ...record, startedAt: now });
    receive(draft, action, early);
    return;
  }
  const handout = draft.nextHandout();
  const timer = draft.timerId("wait", action, handout);
  if (at !== undefined) draft.addTimer(timer, at);
  draft.setRecord(action.index, {
    ...record,
    status: "WAITING",
    startedAt: now,
    handout,
    events,
    ...defined({ timers: at === undefined ? undefined : [timer], dueAt: at }),
  });
  draft.log("action.waiting", action, undefined, JSON.stringify({ events }));
}

/** Each once; undefined after the action has been failed. */
function eventsOf(draft: Draft, action: WaitPlanAction): readonly string[] | undefined {
  const names = new Set<string>();
  for (const template of action.events) {
    const text = resolveOrFail(draft, action, template);
    if (text === undefined) return undefined;
    const name: unknown = JSON.parse(text);
    // What is no template was checked when it was saved.
    if (template.slots.length > 0 && !isWaitedEvent(name)) {
      const message = `An event must be ${waitedEventForm}; it is ${cut(text)}.`;
      failAction(draft, action, { failure: { code: "EVENT_INVALID", message } });
      return undefined;
    }
    names.add(name as string);
  }
  return [...names];
}

function timeOut(draft: Draft, action: WaitPlanAction, timer: string): void {
  draft.spendTimer(action, timer);
  const route = action.next.has("timeout") ? "timeout" : "default";
  completeAction(draft, action, { output: '{"timedOut":true}', route });
}

function receive(draft: Draft, action: WaitPlanAction, signal: Signal): void {
  const route = action.next.has(signal.event) ? signal.event : "default";
  const event = JSON.stringify(signal.event);
  draft.log("signal.received", action, undefined, `{"event":${event}}`);
  const output = `{"event":${event},"payload":${signal.payload}}`;
  completeAction(draft, action, { output, route });
}

function timeoutMoment(draft: Draft, action: WaitPlanAction): number | undefined | "failed" {
  if (action.timeoutSeconds === undefined) return undefined;
  const text = resolveOrFail(draft, action, action.timeoutSeconds);
  if (text === undefined) return "failed";
  const isBounded = !action.takesAnySeconds;
  const seconds = secondsOrFail(draft, action, { field: "timeoutSeconds", text, isBounded });
  return seconds === undefined ? "failed" : momentAfter(draft.now, seconds);
}
