/** What the open items of a map own: how it is dropped after its end, checked, and made anew. */

import { elementsOf } from "../../../language/data/json-text.ts";
import type { MapPlanAction } from "../../../language/kinds/map.ts";
import {
  type ActionRecord,
  type Execution,
  type ExecutionState,
  runOfIds,
} from "../../../model/execution.ts";
import { fields, formatTaskId } from "../../../model/ids.ts";
import { cancelChild } from "../../decision/children.ts";
import type { Draft } from "../../decision/draft.ts";
import {
  allRecordFields,
  chunkItems,
  isOpenText,
  itemFields,
  outcomeIn,
  readItemRecord,
  recordChunkOf,
} from "../../stored/items.ts";
import type { Holdings } from "../rules.ts";
import { attemptItem, goOn, mostOpen } from "./item.ts";
import { MapRecords } from "./records.ts";

/** Fields with records that one call drops, as it reads them all. */
const fieldsDroppedAtOnce = 16;

/** After the end, as far as the commit has room; false: there is more. */
export function closeItems(draft: Draft, action: MapPlanAction): boolean {
  const { items } = draft.record(action.index);
  if (items === undefined) return true;
  const records = new MapRecords(draft, action);
  for (const item of openItems(records)) {
    if (!draft.hasRoom()) return false;
    const open = records.record(item);
    dropItem(draft, action, {
      item,
      record: open,
      version: draft.record(action.index).childVersion,
    });
    const { timers: _timers, handout: _handout, ...record } = open;
    records.setRecord(item, { ...record, status: "CANCELLED", endedAt: draft.now });
    records.change({ open: records.progress.open - 1 });
  }
  return true;
}

/** What moves an open item on. */
function dropItem(
  draft: Draft,
  action: MapPlanAction,
  open: {
    readonly item: number;
    readonly record: ActionRecord;
    readonly version?: number | undefined;
  },
): void {
  const { item, record, version } = open;
  const { status, timers = [], handout } = record;
  for (const timer of timers) draft.dropTimer(timer);
  if (status === "SCHEDULED") draft.dropTask(draft.taskId(action, handout!, item));
  if (status !== "WAITING") return;
  const child = { handout: handout!, item, target: action.target!, version: version! };
  cancelChild(draft, action, child);
}

/**
 * Of a map that was reset, from its last item to its first: what is open, and all fields. The map
 * itself begins when nothing is left.
 */
export function dropLeft(
  draft: Draft,
  action: MapPlanAction,
  left: ActionRecord,
): ActionRecord | undefined {
  const { items, childVersion: version } = left;
  if (items === undefined) return undefined;
  const { key } = action;
  let { reached } = items;
  const fieldsLeft = allRecordFields(key, { count: reached });
  const from = Math.max(0, fieldsLeft.length - fieldsDroppedAtOnce);
  draft.requireFields(fieldsLeft.slice(from));
  while (reached > from * chunkItems) {
    if (!draft.hasRoom()) break;
    reached -= 1;
    const field = fieldsLeft[recordChunkOf(reached)]!;
    const text = draft.entries(field)[reached % chunkItems]!;
    const record = readItemRecord(text, draft.state.startedAt) ?? { status: "PENDING" };
    if (isOpenText(text)) dropItem(draft, action, { item: reached, record, version });
    else if (outcomeIn(text) === undefined) draft.write(fields.itemOutcome(key, reached), null);
    if (reached % chunkItems === 0) draft.write(field, null);
  }
  if (reached > 0) return { ...left, items: { ...items, reached } };
  for (const field of itemFields(key, items.count)) draft.write(field, null);
  return undefined;
}

function openItems(records: MapRecords): readonly number[] {
  return records.progress.chunks.flatMap((chunk) =>
    records
      .texts(chunk)
      .flatMap((text, place) => (isOpenText(text) ? [chunk * chunkItems + place] : [])),
  );
}

/** Sentences about what is broken; `execution` has the records of its open items. */
export function itemViolations(
  { state, data }: Execution,
  action: MapPlanAction,
  { items }: ActionRecord,
  store: Holdings,
): string[] {
  if (items === undefined) return [`${action.key} waits for nothing`];
  const found: string[] = [];
  const isOwned = ownership(state, action, store);
  let open = 0;
  for (const chunk of items.chunks) {
    const texts = elementsOf(data.get(fields.itemRecords(action.key, chunk)) ?? "[]") ?? [];
    for (const [place, text] of texts.entries()) {
      if (!isOpenText(text)) continue;
      open += 1;
      const item = chunk * chunkItems + place;
      const record = readItemRecord(text, state.startedAt)!;
      if (!isOwned(item, record))
        found.push(`item ${item} of ${action.key} is ${record.status} and owns nothing`);
    }
  }
  if (open !== items.open)
    found.push(`${action.key} counts ${items.open} open items, there are ${open}`);
  const hasTurn = state.ready.includes(action.index);
  const mayGoOn = items.next < items.count && items.open < mostOpen(action, items);
  if (!hasTurn && (items.open === 0 || mayGoOn)) {
    found.push(`${action.key} may go on with its items and has no turn`);
  }
  return found;
}

/** Tells of an open item whether the store holds what moves it on. */
function ownership(
  state: ExecutionState,
  { key: actionKey }: MapPlanAction,
  store: Holdings,
): (item: number, record: ActionRecord) => boolean {
  const { id: executionId, heldTimers } = state;
  const run = runOfIds(state);
  const held = new Set(heldTimers.map(({ id }) => id));
  return (item, { status, handout = 0, timers = [] }) => {
    if (status !== "SCHEDULED") return timers.some((id) => store.timers.has(id) || held.has(id));
    return store.tasks.has(formatTaskId({ executionId, run, handout, actionKey, item }));
  };
}

/** What the store has lost is made anew, as far as the commit has room. */
export function repairItems(draft: Draft, action: MapPlanAction, store: Holdings): void {
  const records = new MapRecords(draft, action);
  const isOwned = ownership(draft.state, action, store);
  const open = openItems(records);
  records.change({ open: open.length });
  for (const item of open) {
    if (!draft.hasRoom()) return;
    const record = records.record(item);
    if (isOwned(item, record)) continue;
    draft.log("action.repaired", action, record.attempt);
    if (record.status !== "SCHEDULED") {
      for (const timer of record.timers ?? []) draft.addTimer(timer, record.dueAt ?? draft.now);
    } else {
      records.setRecord(item, { ...record, attempt: (record.attempt ?? 1) - 1 });
      draft.require(action.needs);
      attemptItem(records, action, item);
    }
  }
  goOn(records, action);
}
