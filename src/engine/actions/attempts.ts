/** What the record of an action keeps of its attempts: it is written with every commit. */
import { limits } from "../../base/limits.ts";
import type { PlanAction } from "../../language/kinds/table.ts";
import type { AttemptRecord } from "../../model/execution.ts";
import type { Draft } from "../decision/draft.ts";

/**
 * Details go to disk with every commit: those of earlier attempts are dropped where they are large.
 * History keeps them.
 */
function withSmallDetails(attempts: readonly AttemptRecord[]): readonly AttemptRecord[] {
  const details = attempts.map(({ failure }) => failure?.details);
  if (details.every((one) => one === undefined)) return attempts;
  if (JSON.stringify(details).length <= limits.errorDetailsBytesMax) return attempts;
  return attempts.map((attempt) => {
    if (attempt.failure === undefined) return attempt;
    const { details: _details, ...failure } = attempt.failure;
    return { ...attempt, failure };
  });
}

/** Keeps the latest attempts in full, and counts the older ones. */
export function withAttempt(
  draft: Draft,
  { index }: PlanAction,
  attempt: AttemptRecord,
): readonly AttemptRecord[] {
  const record = draft.record(index);
  const attempts = [...withSmallDetails(record.attempts ?? []), attempt];
  if (attempts.length <= limits.attemptsKept) return attempts;
  // The first shows how it began; the latest how it went on.
  attempts.splice(1, 1);
  const attemptsDropped = (record.attemptsDropped ?? 0) + 1;
  draft.setRecord(index, { ...record, attemptsDropped });
  return attempts;
}
