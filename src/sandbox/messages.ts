/** Sentences that both sides of the pipe say. */
import { inTime } from "../base/amount.ts";

export function deadlineMessage(scriptMs: number): string {
  return `The script did not end within ${inTime(scriptMs)}.`;
}
