/**
 * What a map goes on with in a later run: all that did not complete, or, for the sake of a child that
 * was retried, the item of that child.
 */
import { type MapPlanAction, toleratedOf } from "../../../language/kinds/map.ts";
import type { ActionRecord, MapProgress } from "../../../model/execution.ts";
import { askAt } from "../../decision/children.ts";
import type { Draft } from "../../decision/draft.ts";
import type { EventOf } from "../rules.ts";
import { failureChars, goOn, isOpenItem } from "./item.ts";
import { MapRecords } from "./records.ts";

/** The items that completed are kept; the others begin anew. */
export function retried({ items }: ActionRecord): Partial<ActionRecord> {
  if (items === undefined) return {};
  const { isLarge: _isLarge, standing: _standing, ...progress } = items;
  return { items: { ...progress, next: 0, failed: 0, failures: [] } };
}

/** Whether an item is passed over, as it has what became of it, or is open already. */
export function stands(
  { progress: { standing = 0 } }: MapRecords,
  item: number,
  record: ActionRecord,
) {
  const { status } = record;
  if (status === "COMPLETED") return true;
  return item < standing && (isFailedItem(record) || isOpenItem(record));
}

function isFailedItem({ status }: ActionRecord): boolean {
  return status === "FAILED" || status === "TIMED_OUT";
}

export function beginAnew(records: MapRecords, item: number): void {
  if (isFailedItem(records.record(item))) dropFailure(records, item);
  records.setRecord(item, { status: "PENDING" });
}

function dropFailure(records: MapRecords, item: number): void {
  const chars = failureChars(item, records.outcome(item));
  records.change({ chars: records.progress.chars - chars });
  records.dropOutcome(item);
}

/** Of those that have failed in this run, or stand, while more have failed than are tolerated. */
export function failedItem(
  draft: Draft,
  action: MapPlanAction,
  item: number,
): ActionRecord | undefined {
  const { items } = draft.record(action.index);
  if (items === undefined || item >= countedBelow(items)) return undefined;
  if (items.failed <= toleratedOf(action.tolerate, items.count)) return undefined;
  const records = new MapRecords(draft, action);
  const record = records.record(item);
  if (!isFailedItem(record)) return undefined;
  return { ...record, failure: JSON.parse(records.outcome(item)) };
}

/** Of the items below it, those that are FAILED are counted by `failed`. */
function countedBelow({ next, standing = 0 }: MapProgress): number {
  return Math.max(next, standing);
}

/**
 * For the child of one item, under its hand-out. The other failures are as many as are tolerated, and
 * stand; what was cancelled with the map begins anew.
 */
export function waitAgain(
  draft: Draft,
  action: MapPlanAction,
  { parent: { handout, item }, version }: EventOf<"child-resumed">,
): void {
  const records = new MapRecords(draft, action);
  const { failure: _failure, endedAt: _ended, ...record } = draft.record(action.index);
  const { isLarge: _isLarge, ...items } = record.items!;
  const waiting = { ...record, status: "WAITING", childVersion: version } as const;
  draft.setRecord(action.index, { ...waiting, items: { ...items, next: 0 } });
  dropFailure(records, item!);
  records.change({
    open: 1,
    failed: items.failed - 1,
    failures: items.failures.filter((one) => one !== item),
    standing: countedBelow(items),
  });
  const { endedAt: _endedAt, ...failed } = records.record(item!);
  const timer = draft.timerId("child", action, handout, item);
  draft.addTimer(timer, askAt(draft, draft.now));
  const open = { handout, attempts: failed.attempts?.slice(0, -1) ?? [], timers: [timer] };
  records.setRecord(item!, { ...failed, ...open, status: "WAITING" });
  const details = JSON.stringify({ item, child: failed.child });
  draft.log("action.waiting", action, failed.attempt, details);
  goOn(records, action);
}
