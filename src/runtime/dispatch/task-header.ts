/**
 * Reads the header of a task. Most of it is the same for all tasks of an action, and read once: this
 * is done for every task that is handed out.
 */
import type { TaskHeader } from "../../model/decision.ts";
import type { JsonText } from "../../model/json.ts";

/**
 * Where that what differs from task to task begins: the engine writes it so. It cannot be part of a
 * name, where the quotes would be escaped.
 */
const separator = ',"attempt":';

/** Beginnings that are remembered. */
const beginningsMax = 10_000;

type Of = "workflow" | "version" | "actionKey" | "actionId" | "actionNumber" | "name";
type Beginning = Pick<TaskHeader, Of>;
type Rest = Omit<TaskHeader, Of>;

const beginnings = new Map<string, Beginning>();

export function readHeader(text: JsonText): TaskHeader {
  const at = text.indexOf(separator);
  if (at < 0) return JSON.parse(text) as TaskHeader;
  const start = text.slice(0, at);
  let beginning = beginnings.get(start);
  if (beginning === undefined) {
    beginning = JSON.parse(`${start}}`) as Beginning;
    if (beginnings.size === beginningsMax) beginnings.clear();
    beginnings.set(start, beginning);
  }
  const rest = JSON.parse(`{${text.slice(at + 1)}`) as Rest;
  return { ...beginning, ...rest };
}
