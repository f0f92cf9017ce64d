/** What the actions of an execution have put out, for its follow-up: as much as fits. */
import { limits } from "../../base/limits.ts";
import { fields } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import { MissingData } from "./data.ts";
import type { Draft } from "./draft.ts";

/** Outputs that are loaded at once: together they are within what may be loaded. */
const loadedAtOnce = 16;

/**
 * `"outputs":{…}` of at most so many bytes, in the order of the plan, and `"omitted":[…]` with the ids
 * of what does not fit. Throws MissingData.
 */
export function putOut(draft: Draft, bytesMax: number): JsonText {
  const actions = draft.plan.actions.filter(({ index }) => draft.hasOutput(index));
  const members: string[] = [];
  const omitted: string[] = [];
  let room = bytesMax;
  let read = 0;
  for (let from = 0; from < actions.length; from += loadedAtOnce) {
    const some = actions.slice(from, from + loadedAtOnce).map(({ key }) => key);
    // Nothing that is left would be worth the reading.
    if (room <= 0 || read > limits.actionDataCharsMax) {
      omitted.push(...some);
      continue;
    }
    // Of a large map this is how many items it had.
    const missing = some.map(fields.output).filter((field) => draft.read(field) === undefined);
    if (missing.length > 0) throw new MissingData(missing);
    for (const key of some) {
      const text = draft.read(fields.output(key)) ?? "null";
      const member = `${JSON.stringify(key)}:${text}`;
      const bytes = text.length > room ? text.length : Buffer.byteLength(member) + 1;
      read += text.length;
      if (bytes > room) omitted.push(key);
      else {
        members.push(member);
        room -= bytes;
      }
    }
  }
  const outputs = `"outputs":{${members.join(",")}}`;
  return omitted.length === 0 ? outputs : `${outputs},"omitted":${JSON.stringify(omitted)}`;
}
