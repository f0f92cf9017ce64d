/** What a record keeps of its attempts: it is written with every commit. */
import { limits } from "../../base/limits.ts";
import type { ActionRecord, AttemptRecord } from "../../model/execution.ts";

export type KeptAttempts = Pick<ActionRecord, "attempts" | "attemptsDropped">;

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
export function withAttempt(record: KeptAttempts, attempt: AttemptRecord): KeptAttempts {
  const attempts = [...withSmallDetails(record.attempts ?? []), attempt];
  if (attempts.length <= limits.attemptsKept) return { attempts };
  // The first shows how it began; the latest how it went on.
  attempts.splice(1, 1);
  return { attempts, attemptsDropped: (record.attemptsDropped ?? 0) + 1 };
}
