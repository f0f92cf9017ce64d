/** Texts of messages that hold data: data may be megabytes, and a message goes into every state. */
import { limits } from "../../base/limits.ts";
import type { Failure } from "../../model/execution.ts";

/** What stands in a sentence. */
const shownCharsMax = 100;

/** The text, cut to `charsMax` UTF-16 units with an ellipsis where it is longer. */
export function cut(text: string, charsMax: number = shownCharsMax): string {
  if (text.length <= charsMax) return text;
  const kept = text.slice(0, charsMax - 1);
  const last = kept.charCodeAt(kept.length - 1);
  // Half a surrogate pair is not text.
  const isHalf = last >= 0xd800 && last <= 0xdbff;
  return `${isHalf ? kept.slice(0, -1) : kept}…`;
}

/** A whole message, wherever it comes from. */
export function cutMessage(text: string): string {
  return cut(text, limits.errorMessageCharsMax);
}

/** The failure, its message cut to what is stored. */
export function cutFailure(failure: Failure): Failure {
  if (failure.message.length <= limits.errorMessageCharsMax) return failure;
  return { ...failure, message: cutMessage(failure.message) };
}
