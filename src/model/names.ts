/** What may be a name: one rule for each kind of thing, held wherever a name comes in. */
import { limits } from "../base/limits.ts";

/** Of workflows, queues and executions. */
export const plainNamePattern = new RegExp(
  `^[A-Za-z0-9][A-Za-z0-9._-]{0,${limits.nameCharsMax - 1}}$`,
);
export const plainNameForm =
  `1 to ${limits.nameCharsMax} characters, ASCII letters, digits, ".", "_" and "-", ` +
  "that begin with a letter or a digit";

/** In a dialect that every engine of patterns knows, as it is part of the published schemas. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it is about
export const noControlsPattern = /^[^\u0000-\u001f\u007f-\u009f]*$/;

/** The id of an action that is a word, not a number. */
export const wordIdPattern = /^[A-Za-z_][A-Za-z0-9_-]{0,63}$/;
export const wordIdForm = "a word of letters, digits, _ and - that begins with a letter or _";

/** Tasks that only servers take, as they run them themselves: see runtime/inner. */
export const innerQueue = "orchy";

/** What definitions and polls may name. */
export function isQueueName(text: string): boolean {
  return plainNamePattern.test(text) && text !== innerQueue;
}

export const queueNameForm = `${plainNameForm}, and not "${innerQueue}", which is the server's own`;

/** Names of user actions are the workers' own: anything that can be read, stored and put in a path. */
export const actionNameForm =
  `1 to ${limits.nameCharsMax} characters without control characters, well-formed, ` +
  'and not "." or ".."';

export function isActionName(text: string): boolean {
  return isPolledAction(text) && text !== "." && text !== "..";
}

/** What a poll may name: earlier versions saved `.` and `..`, too, and their tasks must end. */
export function isPolledAction(text: string): boolean {
  return isPlainText(text, limits.nameCharsMax);
}

/** What a signal may be named. */
export function isEventName(text: string): boolean {
  return isPlainText(text, limits.eventNameCharsMax);
}

export const eventNameForm = `1 to ${limits.eventNameCharsMax} characters without control characters, well-formed`;

export function isPlainText(text: string, charsMax: number): boolean {
  const fits = text.length > 0 && text.length <= charsMax;
  return fits && text.isWellFormed() && noControlsPattern.test(text);
}

/** A path that is made of the name would lead to another route than that of a workflow. */
export const reservedWorkflowNames: ReadonlySet<string> = new Set(["validate"]);
