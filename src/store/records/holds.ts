/**
 * Queue timeouts and holds. A hold changes the head alone, however many tasks wait in rows: a row says
 * when its wait ends and how long the execution had been held before; the head says how long it has
 * been held since. What the rules of ../kit/task-life.ts work on is computed from both.
 */
import type { Lease, TaskLife } from "../kit/task-life.ts";

/** How long an execution has been held; the latest hold apart, as a wait may have ended before it. */
export interface HoldTerms {
  /** Milliseconds in all holds before the latest one. */
  readonly before: number;
  /** Of the latest hold; absent: there was none. */
  readonly from?: number;
  /** Absent: it is held. */
  readonly to?: number;
}

export const neverHeld: HoldTerms = { before: 0 };

/** As `TaskLife`, with a queue timeout that a hold does not change. */
export interface StoredLife {
  readonly state: TaskLife["state"];
  /** Of a queued task: when its wait would end without holds since it was stored. */
  readonly until: number | null;
  /** What was left of its queue timeout when its wait began, or its lease. */
  readonly queueLeft: number | null;
  /** Of a queued task: time in holds that `until` has in it. */
  readonly heldBefore: number;
  readonly lease: Lease | undefined;
}

export function isHeld({ from, to }: HoldTerms): boolean {
  return from !== undefined && to === undefined;
}

/** Milliseconds in holds that have ended. */
function heldMs({ before, from, to }: HoldTerms): number {
  return from === undefined || to === undefined ? before : before + to - from;
}

export function withHold(
  hold: HoldTerms,
  { held, now }: { readonly held: boolean; readonly now: number },
): HoldTerms {
  if (held === isHeld(hold)) return hold;
  if (held) return { before: heldMs(hold), from: now };
  const { before, from = now } = hold;
  return { before, from, to: Math.max(from, now) };
}

export function toLife(stored: StoredLife, hold: HoldTerms): TaskLife {
  const { state, until, queueLeft, lease } = stored;
  if (state !== "queued" || until === null) return { state, until, queueLeft, lease };
  const { before, from, to } = hold;
  // Stored after the latest hold had ended.
  if (from === undefined || stored.heldBefore > before) return { state, until, queueLeft, lease };
  const left = Math.max(0, until + before - stored.heldBefore - from);
  return { state, until: to === undefined ? null : to + left, queueLeft: left, lease };
}

/** The earliest moment at which its wait, or its lease, can end, held or not; null: never. */
export function earliestEnd(stored: StoredLife, hold: HoldTerms): number | null {
  const { state, until, heldBefore } = stored;
  if (state !== "queued" || until === null) return until;
  return isHeld(hold) ? until + hold.before - heldBefore : toLife(stored, hold).until;
}

export function fromLife(life: TaskLife, hold: HoldTerms): StoredLife {
  const { state, lease, queueLeft } = life;
  if (state !== "queued") return { ...life, heldBefore: 0 };
  const stored = { state, queueLeft, heldBefore: heldMs(hold), lease };
  if (!isHeld(hold)) return { ...stored, until: life.until };
  const { from = 0 } = hold;
  return { ...stored, until: life.queueLeft === null ? null : from + life.queueLeft };
}
