/** Signals that came before anything waited for them. */
import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import { isWaitedEvent } from "../../language/kinds/wait.ts";
import { waitedEventsOf } from "../../language/plan.ts";
import { nearestHint, quoted } from "../../language/readers/report.ts";
import type { EventAnswer } from "../../model/event.ts";
import { fields } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import type { Draft } from "./draft.ts";

/** An event that was sent to an execution; the payload is JSON text. */
export interface Signal {
  readonly event: string;
  readonly payload: JsonText;
}

/** Keeps it for a wait that is still to come. */
export function keepSignal(draft: Draft, { event, payload }: Signal): EventAnswer {
  const { state } = draft;
  if (state.signals.length >= limits.signalsBufferedMax) {
    const message = `${limits.signalsBufferedMax} signals are buffered already and no action waits for them.`;
    return { type: "too-many", message };
  }
  state.signalSequence += 1;
  const sequence = state.signalSequence;
  state.signals = [...state.signals, { event, sequence, receivedAt: draft.now }];
  draft.write(fields.signal(sequence), payload);
  draft.log("signal.kept", undefined, undefined, JSON.stringify({ event }));
  return { type: "accepted", buffered: defined({ warning: warningOf(draft, event) }) };
}

/** Undefined when a wait of the definition is for the event, or may turn out to be. */
function warningOf({ plan }: Draft, event: string): string | undefined {
  if (!isWaitedEvent(event)) {
    return `No action can wait for ${quoted(event)}: the name is reserved for routes.`;
  }
  const known = waitedEventsOf(plan);
  if (known === "any" || known.has(event)) return undefined;
  if (known.size === 0) return "No action of the workflow waits for signals.";
  return `No action of the workflow waits for ${quoted(event)}${nearestHint(event, [...known])}.`;
}

/** Takes the first one of these events out of those that were kept. */
export function takeSignal(draft: Draft, events: readonly string[]): Signal | undefined {
  const { state } = draft;
  const first = state.signals.find((signal) => events.includes(signal.event));
  if (first === undefined) return undefined;
  const field = fields.signal(first.sequence);
  const payload = draft.requireField(field);
  state.signals = state.signals.filter((other) => other !== first);
  draft.write(field, null);
  return { event: first.event, payload };
}
