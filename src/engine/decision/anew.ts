/** Decides from the records what follows: for a new run, in which some actions have not begun. */
import type { Draft } from "./draft.ts";
import { makeReady } from "./flow.ts";

/**
 * Roots that have not begun are ready, and the edges of all that has ended are decided once more.
 * Nothing that has not begun may be ready already.
 */
export function decideAnew(draft: Draft): void {
  const { plan, records, ended } = draft;
  for (const [index, record] of records.entries()) {
    if (record?.edges === undefined) continue;
    const { edges: _edges, ...rest } = record;
    draft.setRecord(index, rest);
  }
  for (const root of plan.roots) {
    if (draft.record(root).status === "PENDING") makeReady(draft, root);
  }
  for (const { index } of plan.actions) {
    if (draft.record(index).endedAt !== undefined) ended.push(index);
  }
}
