/**
 * Timers of an execution, and the ids that name them in the store. Ids are stored for ever: a kind
 * may be added, and none changed. What is due follows from the id alone:
 *
 *     retention                          the record may be removed
 *     timeout:<run>                      the execution's timeoutSeconds are over
 *     continue:<hand-out>                what one commit could not hold goes on
 *     <kind>:<run>:<hand-out>:<place>    one of those below, of an action or an item of a map
 */
import { type ActionPlace, formatPlace, parsePlace } from "./ids.ts";

/** For each kind of an action's timers, whether it ends something that others had time for. */
const actionTimers = {
  delay: { isDeadline: false },
  wait: { isDeadline: true },
  /** The backoff before the next attempt. */
  retry: { isDeadline: false },
  /** All attempts together. */
  total: { isDeadline: true },
  /** A script that waits for its turn, or one that a server may have taken along when it died. */
  script: { isDeadline: false },
  /** A signal that has not been confirmed for long is sent again. */
  send: { isDeadline: false },
  /** A child that has not been heard of for long is asked for. */
  child: { isDeadline: false },
} as const satisfies Readonly<Record<string, { readonly isDeadline: boolean }>>;

export type ActionTimerKind = keyof typeof actionTimers;

/** The parts of the id of an action's timer. */
export interface ActionTimer extends ActionPlace {
  readonly kind: ActionTimerKind;
  readonly run: number;
  readonly handout: number;
}

type Timer =
  | ActionTimer
  | { readonly kind: "retention" }
  | { readonly kind: "timeout"; readonly run: number }
  | { readonly kind: "continue"; readonly handout: number };

/** The id under which the store keeps it. */
export function formatTimer(timer: Timer): string {
  switch (timer.kind) {
    case "retention":
      return timer.kind;
    case "timeout":
      return `${timer.kind}:${timer.run}`;
    case "continue":
      return `${timer.kind}:${timer.handout}`;
    default:
      return `${timer.kind}:${timer.run}:${timer.handout}:${formatPlace(timer)}`;
  }
}

/** Returns undefined for what no server ever made. */
export function parseTimer(id: string): Timer | undefined {
  const [kind, first, second, text] = id.split(":");
  switch (kind) {
    case "retention":
      return { kind };
    case "timeout":
      return { kind, run: Number(first) };
    case "continue":
      return { kind, handout: Number(first) };
    default: {
      const place = text === undefined ? undefined : parsePlace(text);
      if (place === undefined || !isActionTimerKind(kind!)) return undefined;
      return { kind, run: Number(first), handout: Number(second), ...place };
    }
  }
}

function isActionTimerKind(kind: string): kind is ActionTimerKind {
  return Object.hasOwn(actionTimers, kind);
}

/** Whether the timer ends something, as opposed to what only goes on when it is due. */
export function isDeadline(id: string): boolean {
  const timer = parseTimer(id);
  if (timer === undefined) return false;
  switch (timer.kind) {
    case "retention":
    case "continue":
      return false;
    case "timeout":
      return true;
    default:
      return actionTimers[timer.kind].isDeadline;
  }
}
