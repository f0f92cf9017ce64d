/**
 * wait: until a signal of one of its names arrives, or its time is up. A signal that comes early is
 * kept; of several waits, the one that started first consumes it.
 */
import { limits } from "../../base/limits.ts";
import { cut } from "../../language/data/cut.ts";
import type { WaitPlanAction } from "../../language/plan.ts";
import type { EventAnswer } from "../../model/event.ts";
import type { BufferedSignal } from "../../model/execution.ts";
import { fields } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import type { Draft } from "../draft.ts";
import { completeAction } from "../flow.ts";
import { failValue, momentAfter, numberIn, resolveOrFail } from "./common.ts";

export function startWait(draft: Draft, action: WaitPlanAction): void {
  const { state, now } = draft;
  const early = state.signals.find((signal) => action.events.includes(signal.event));
  const at = timeoutMoment(draft, action);
  if (at === "failed") return;
  const record = draft.record(action.index);
  if (early !== undefined) {
    const payload = draft.requireField(fields.signal(early.sequence));
    draft.setRecord(action.index, { ...record, startedAt: now });
    forget(draft, early);
    receive(draft, action, { event: early.event, payload });
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
    events: action.events,
    ...(at !== undefined && { timers: [timer], dueAt: at }),
  });
  draft.log("action.waiting", action, undefined, JSON.stringify({ events: action.events }));
}

/** The time of a wait is up. */
export function timeOutWait(draft: Draft, action: WaitPlanAction): void {
  const route = action.next.has("timeout") ? "timeout" : "default";
  completeAction(draft, action, { output: '{"timedOut":true}', route });
}

/** Gives a signal to the wait that started first, or keeps it for one that is still to come. */
export function deliverSignal(draft: Draft, event: string, payload: JsonText): EventAnswer {
  const { state } = draft;
  const wait = firstWaitFor(draft, event);
  if (wait !== undefined) {
    receive(draft, wait, { event, payload });
    return { type: "accepted" };
  }
  if (state.signals.length >= limits.signalsBufferedMax) {
    const message = `${limits.signalsBufferedMax} signals are buffered already and no action waits for them.`;
    return { type: "too-many", message };
  }
  state.signalSequence += 1;
  const sequence = state.signalSequence;
  state.signals = [...state.signals, { event, sequence, receivedAt: draft.now }];
  draft.write(fields.signal(sequence), payload);
  draft.log("signal.kept", undefined, undefined, JSON.stringify({ event }));
  return { type: "accepted" };
}

function firstWaitFor(draft: Draft, event: string): WaitPlanAction | undefined {
  let first: WaitPlanAction | undefined;
  let firstHandout = Number.POSITIVE_INFINITY;
  for (const [index, record] of draft.records.entries()) {
    if (record?.status !== "WAITING" || !record.events?.includes(event)) continue;
    const handout = record.handout ?? 0;
    if (handout > firstHandout) continue;
    first = draft.plan.actions[index] as WaitPlanAction;
    firstHandout = handout;
  }
  return first;
}

function receive(
  draft: Draft,
  action: WaitPlanAction,
  signal: { event: string; payload: JsonText },
): void {
  const route = action.next.has(signal.event) ? signal.event : "default";
  const event = JSON.stringify(signal.event);
  draft.log("signal.received", action, undefined, `{"event":${event}}`);
  const output = `{"event":${event},"payload":${signal.payload}}`;
  completeAction(draft, action, { output, route });
}

function forget(draft: Draft, signal: BufferedSignal): void {
  draft.state.signals = draft.state.signals.filter((other) => other !== signal);
  draft.write(fields.signal(signal.sequence), null);
}

function timeoutMoment(draft: Draft, action: WaitPlanAction): number | undefined | "failed" {
  if (action.timeoutSeconds === undefined) return undefined;
  const text = resolveOrFail(draft, action, action.timeoutSeconds);
  if (text === undefined) return "failed";
  const seconds = numberIn(text);
  if (seconds !== undefined) return momentAfter(draft.now, seconds);
  failValue(draft, action, `timeoutSeconds must be a number, not ${cut(text)}.`);
  return "failed";
}
