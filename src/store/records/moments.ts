/**
 * When a record has to be looked at next: the moments by which due hints are posted, and whether one
 * that stands already will do.
 */
import { dueOf } from "../kit/task-life.ts";
import type { Place } from "./driver.ts";
import { earliestEnd, toLife } from "./holds.ts";
import type { ExecutionRecord, TaskRecord } from "./model.ts";

/** A row that is held, or a removal that goes on, is looked at again after this time. */
const lookAgainMs = 60_000;

/** When claimDue gives the task; null: never. Of one that was dropped: when it may be forgotten. */
export function taskDue({ life, hiding }: TaskRecord, hold: ExecutionRecord["hold"]) {
  if (life.state === "dropped") return (life.until as number) + 1;
  return dueOf(toLife(life, hold)) === null ? null : (hiding?.until ?? dueOf(toLife(life, hold)));
}

/** The moment for the hint of a row; while it is held, no later than its wait can end. */
export function rowDue(
  task: TaskRecord,
  hold: ExecutionRecord["hold"],
  now: number,
): number | null {
  const due = taskDue(task, hold);
  if (due !== null) return due;
  const end = earliestEnd(task.life, hold);
  return end !== null && end <= now ? now + lookAgainMs : end;
}

export function earliestOf(execution: ExecutionRecord, now: number): number | null {
  const { lone, timers, hold, grave } = execution;
  if (grave !== undefined) return grave.isEmpty ? grave.until : now + lookAgainMs;
  let earliest = lone === undefined ? null : taskDue(lone, hold);
  for (const { at, hiding } of timers) {
    earliest = Math.min(earliest ?? Number.POSITIVE_INFINITY, hiding?.until ?? at);
  }
  return earliest;
}

/**
 * Whether the hint stands for what is due at the earliest moment; null: nothing is to come. One that
 * is too early does; once it has been followed it is replaced.
 */
export function staysPosted(
  standing: Place | undefined,
  earliest: number | null,
  { isFollowed, now }: { readonly isFollowed: boolean; readonly now: number },
): boolean {
  const isPast = isFollowed && standing !== undefined && standing.at <= now;
  if (earliest === null) return !isPast;
  if (standing === undefined || standing.at > earliest) return false;
  return !isPast || earliest <= now;
}
