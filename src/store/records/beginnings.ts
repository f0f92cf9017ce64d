/** How an execution begins, created or restored: it owns nothing yet. */
import type { Edit } from "./edit.ts";
import { noFields } from "./fields.ts";
import { dueShelf } from "./hints.ts";
import { noHistory } from "./history.ts";
import type { ExecutionRecord } from "./model.ts";

export type Beginning = Pick<
  ExecutionRecord,
  "head" | "recentCommitIds" | "createdBy" | "requestHash" | "listing" | "hold" | "state" | "grave"
>;

/** `end`: of its places in lists. The hint of a tombstone that it replaces goes. */
export function begin(edit: Edit, end: string, beginning: Beginning): void {
  const due = edit.execution?.due;
  if (due !== undefined) edit.strikes.push({ shelf: dueShelf(edit.key.partition), place: due });
  edit.execution = {
    ...beginning,
    version: edit.version,
    listed: { status: end, other: end },
    fields: noFields,
    history: noHistory,
    lone: undefined,
    dropped: [],
    rows: 0,
    isWide: false,
    sequence: 0,
    timers: [],
    messages: [],
    due: undefined,
    outbox: undefined,
  };
}
