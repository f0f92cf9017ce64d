/**
 * Makes a repeated signal or operation harmless: the ids of those that were applied are
 * remembered for limits.causeSeconds, with a hash of the request, so that an id that is used for
 * something else is not taken for a repeat. An id counts within its scope: the event of a signal,
 * or the kind of operation. The ids are in fields of data, by a hash of the id, which are read only
 * for an event that has one; the state, which each commit writes, holds those of format 2.
 */
import { limits } from "../base/limits.ts";
import type { Cause, EventAnswer, ExecutionEvent } from "../model/event.ts";
import { fields, partitionOf } from "../model/ids.ts";
import type { Draft } from "./decision/draft.ts";

/** Fields of data with the ids of applied causes: at least the newest 4,000 of the longest ids. */
export const causeFieldsMax = 128;
/** Size of one of these fields. */
export const causeFieldCharsMax = 8 * 1024;

/** Oldest first. Without a scope: written before scopes were, so it counts in every scope. */
type Remembered = readonly (readonly [
  id: string,
  hash: string,
  appliedAt: number,
  scope?: string,
])[];

/** Most events have no cause: nothing is made for them. */
const none: readonly string[] = [];

function fieldOf(cause: Cause): string {
  return fields.causes(partitionOf(cause.id, causeFieldsMax));
}

/** Fields that must be loaded before these events can be decided; they may not exist yet. */
export function causeFields(events: readonly ExecutionEvent[]): readonly string[] {
  let names: Set<string> | undefined;
  for (const event of events) {
    if (event.type !== "signal" && event.type !== "operation") continue;
    if (event.cause === undefined) continue;
    names ??= new Set();
    names.add(fieldOf(event.cause));
  }
  return names === undefined ? none : [...names];
}

/** Applies what has a cause once. */
export function once(draft: Draft, cause: Cause | undefined, then: () => EventAnswer): EventAnswer {
  if (cause === undefined) return then();
  const { state, now } = draft;
  const field = fieldOf(cause);
  const since = now - limits.causeSeconds * 1000;
  const all = JSON.parse(draft.requireField(field)) as Remembered;
  const remembered = all.filter(([, , appliedAt]) => appliedAt > since);
  const sameId = remembered.filter(([id]) => id === cause.id);
  const earlier = sameId.find(([, , , scope]) => scope === undefined || scope === cause.scope);
  if (earlier !== undefined) {
    return earlier[1] === cause.hash ? { type: "duplicate" } : { type: "reused" };
  }
  // Ids that only an older server has remembered have no hash of the request.
  if (sameId.length === 0 && state.causes.includes(cause.id)) return { type: "duplicate" };
  const answer = then();
  if (answer.type !== "accepted") return answer;
  draft.write(field, written([...remembered, [cause.id, cause.hash, now, cause.scope]]));
  if (draft.format < 3) {
    state.causes = [...state.causes, cause.id].slice(-limits.causesInStateMax);
  }
  return answer;
}

/** Drops the oldest when there is no room for all. */
function written(remembered: Remembered): string {
  const parts = remembered.map((one) => JSON.stringify(one));
  let chars = parts.reduce((sum, part) => sum + part.length + 1, 1);
  let first = 0;
  while (chars > causeFieldCharsMax) chars -= parts[first++]!.length + 1;
  return `[${parts.slice(first).join(",")}]`;
}
