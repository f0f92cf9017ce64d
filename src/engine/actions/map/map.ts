/**
 * map: an action for each item of an array. Its items have records of their own (records.ts), and attempts
 * as actions have them (item.ts). So many are open at a time, the window; when one ends, the map gets its
 * turn in `ready`, as an action that starts does, and opens the next.
 */
import { inBytes } from "../../../base/amount.ts";
import { defined } from "../../../base/defined.ts";
import { limits } from "../../../base/limits.ts";
import { cut } from "../../../language/data/cut.ts";
import { elementsOf } from "../../../language/data/json-text.ts";
import { resolveReference } from "../../../language/data/reference.ts";
import type { MapPlanAction } from "../../../language/kinds/map.ts";
import { userRules } from "../../../language/user-rules.ts";
import type { ParentLink } from "../../../model/child.ts";
import type { EventAnswer } from "../../../model/event.ts";
import type { ActionRecord, MapProgress } from "../../../model/execution.ts";
import { parseTaskId } from "../../../model/ids.ts";
import type { JsonText } from "../../../model/json.ts";
import type { ChildEnd } from "../../../model/message.ts";
import { type ActionTimer, parseTimer } from "../../../model/timer.ts";
import { askAt, askChild } from "../../decision/children.ts";
import type { Draft } from "../../decision/draft.ts";
import { completeAction, failAction } from "../../decision/flow.ts";
import { chunkItems, nothingDone } from "../../stored/items.ts";
import {
  applyLeaseExpiry,
  applyQueueTimeout,
  applyResult,
  endAttempt,
  endTotalTime,
  lateResult,
  type Subject,
} from "../attempts.ts";
import { childFailure, mayRetryChild, runsOrFail } from "../child.ts";
import { failsAsOlder } from "../not-built.ts";
import { type ActionRules, accepted, stale } from "../rules.ts";
import { beginAnew, failedItem, retried, stands, waitAgain } from "./again.ts";
import { closeItems, dropLeft, itemViolations, repairItems } from "./holdings.ts";
import { attemptItem, ItemSubject, isOpenItem, mostOpen, replaceItemChild } from "./item.ts";
import { MapRecords } from "./records.ts";

export const map: ActionRules<MapPlanAction> = {
  start(draft, action) {
    if (failsAsOlder(draft, action)) return;
    const isCut = draft.record(action.index).items !== undefined;
    if (isCut ? goesOn(draft, action) : begin(draft, action)) openItems(draft, action);
  },
  retried,
  waitAgain,
  failedItem,
  waits: () => "items",
  timers: {
    retry: endBackoff,
    total: (draft, action, timer) =>
      onTimer(draft, action, timer, (subject) => endTotalTime(subject, timer)),
    child: (draft, action, timer) =>
      onTimer(draft, action, timer, ({ item, record }) => {
        askChild(draft, action, { handout: record.handout!, item });
        draft.addTimer(timer, askAt(draft, record.startedAt ?? draft.now));
      }),
  },
  events: {
    result: (draft, action, event, handout) =>
      onTask(draft, action, event.taskId, {
        apply: (subject) => applyResult(subject, event, handout),
        late: (record) => lateResult(record, event, handout),
      }),
    "lease-expired": (draft, action, event, handout) =>
      onTask(draft, action, event.taskId, {
        apply: (subject) => applyLeaseExpiry(subject, event, handout),
      }),
    "queue-timeout": (draft, action, event, handout) =>
      onTask(draft, action, event.taskId, {
        apply: (subject) => applyQueueTimeout(subject, handout),
      }),
    "child-ended": (draft, action, { parent, end }) =>
      onChild(draft, action, parent, (subject) => endChild(subject, action, parent, end)),
    "child-lost": (draft, action, { parent }) =>
      onChild(draft, action, parent, ({ item }) => {
        draft.require(action.needs);
        replaceItemChild(new MapRecords(draft, action), action, item);
      }),
  },
  closeParts: closeItems,
  dropLeft,
  violations: itemViolations,
  repair: repairItems,
};

/** In a later run the items that have not completed begin anew. False after it has been failed. */
function goesOn(draft: Draft, action: MapPlanAction): boolean {
  const { status, items } = draft.record(action.index);
  return status !== "PENDING" || open(draft, action, items!);
}

/** False after it has been failed: there is no workflow for its items. */
function open(draft: Draft, action: MapPlanAction, items: MapProgress): boolean {
  const { target } = action;
  const version = target && runsOrFail(draft, { ...action, target }, draft.nextHandout());
  if (target !== undefined && version === undefined) return false;
  draft.setRecord(action.index, {
    ...draft.record(action.index),
    status: "WAITING",
    startedAt: draft.now,
    items,
    ...defined({ childVersion: version }),
  });
  return true;
}

/** Cuts the items; false after it has ended. */
function begin(draft: Draft, action: MapPlanAction): boolean {
  draft.require(action.items.needs);
  const text = resolveReference(action.items, draft.view(), draft.work);
  const items = text === undefined ? undefined : elementsOf(text);
  if (text === undefined || items === undefined) {
    const message = `items must find an array, not ${cut(text ?? "nothing")}.`;
    failAction(draft, action, { failure: { code: "ITEMS_INVALID", message } });
    return false;
  }
  const tooLarge = tooLargeMessage(text, items.length);
  if (tooLarge !== undefined) {
    failAction(draft, action, { failure: { code: "TOO_LARGE", message: tooLarge } });
    return false;
  }
  if (!open(draft, action, { ...nothingDone, count: items.length })) return false;
  draft.log("action.waiting", action, undefined, `{"items":${items.length}}`);
  new MapRecords(draft, action).cut(items);
  return true;
}

function tooLargeMessage(text: JsonText, count: number): string | undefined {
  if (count > limits.mapItemsMax) {
    return `items finds ${count} elements; a map has at most ${limits.mapItemsMax} items.`;
  }
  if (text.length <= limits.payloadBytesMax / 3) return undefined;
  if (Buffer.byteLength(text) <= limits.payloadBytesMax) return undefined;
  return `The array that items finds is larger than ${inBytes(limits.payloadBytesMax)}.`;
}

/** Opens items as far as the window and this commit go; without any left, the map completes. */
function openItems(draft: Draft, action: MapPlanAction): void {
  const records = new MapRecords(draft, action);
  while (draft.record(action.index).status === "WAITING") {
    const { open, next, count } = records.progress;
    if (next === count || open >= mostOpen(action, records.progress)) break;
    if (!draft.hasRoomToStart()) {
      draft.ready.push(action.index);
      return;
    }
    records.change({ next: next + 1 });
    openItem(records, action, next);
  }
  const { open, next, count } = records.progress;
  const isOver = open === 0 && next === count;
  if (isOver && draft.record(action.index).status === "WAITING") complete(draft, action, records);
}

/** In a later run those that stand are passed over, and others begin anew. */
function openItem(records: MapRecords, action: MapPlanAction, item: number): void {
  const record = records.record(item);
  if (stands(records, item, record)) {
    records.draft.work.lookAt(chunkItems);
    return;
  }
  if (record.status !== "PENDING") beginAnew(records, item);
  records.change({ open: records.progress.open + 1 });
  attemptItem(records, action, item);
}

function complete(draft: Draft, action: MapPlanAction, records: MapRecords): void {
  const output = records.output();
  const { count, failed } = records.progress;
  if (output === undefined) records.change({ isLarge: true });
  completeAction(draft, action, {
    output: output ?? `{"items":${count},"failed":${failed}}`,
    route: "default",
  });
}

/** The item that is named, if it has begun. */
function subjectOf(
  draft: Draft,
  action: MapPlanAction,
  item: number | undefined,
): ItemSubject | undefined {
  const { items } = draft.record(action.index);
  if (item === undefined || items === undefined || item >= items.reached) return undefined;
  return new ItemSubject(new MapRecords(draft, action), action, item);
}

function onTask(
  draft: Draft,
  action: MapPlanAction,
  taskId: string,
  {
    apply,
    late = () => stale,
  }: {
    readonly apply: (subject: Subject) => EventAnswer;
    /** Instead, for what is still open of a map that has ended: it is about to be dropped. */
    readonly late?: (record: ActionRecord) => EventAnswer;
  },
): EventAnswer {
  const subject = subjectOf(draft, action, parseTaskId(taskId)?.item);
  if (subject === undefined) return stale;
  const isOver = draft.record(action.index).status !== "WAITING";
  return isOver && isOpenItem(subject.record) ? late(subject.record) : apply(subject);
}

/** Finds the item of a timer that it waits for. */
function onTimer(
  draft: Draft,
  action: MapPlanAction,
  timer: string,
  then: (subject: ItemSubject) => void,
): void {
  if (draft.record(action.index).status !== "WAITING") return;
  const subject = subjectOf(draft, action, (parseTimer(timer) as ActionTimer).item);
  if (subject?.record.timers?.includes(timer)) then(subject);
}

/** The backoff of an item is over. During a pause the timer waits for the resume. */
function endBackoff(draft: Draft, action: MapPlanAction, timer: string): void {
  onTimer(draft, action, timer, (subject) => {
    const { state } = draft;
    if (state.status === "PAUSED") {
      state.heldTimers = [...state.heldTimers, { id: timer, at: state.pausedAt ?? draft.now }];
      return;
    }
    const { record } = subject;
    subject.setRecord({ ...record, timers: record.timers!.filter((one) => one !== timer) });
    draft.require(action.needs);
    attemptItem(new MapRecords(draft, action), action, subject.item);
  });
}

/** Finds the item that waits for this child. */
function onChild(
  draft: Draft,
  action: MapPlanAction,
  { item, handout }: ParentLink,
  then: (subject: ItemSubject) => void,
): EventAnswer {
  if (draft.record(action.index).status !== "WAITING") return stale;
  const subject = subjectOf(draft, action, item);
  const record = subject?.record;
  if (record?.status !== "WAITING" || record.handout !== handout) return stale;
  then(subject!);
  return accepted;
}

function endChild(
  subject: ItemSubject,
  action: MapPlanAction,
  parent: ParentLink,
  end: ChildEnd,
): void {
  if ("output" in end) {
    subject.complete(end.output, {});
    return;
  }
  const { draft } = subject;
  const { timers = [], ...record } = subject.record;
  for (const timer of timers) draft.dropTimer(timer);
  subject.setRecord(record);
  const failure = childFailure(parent, end);
  const { handout } = parent;
  endAttempt(
    subject,
    { number: record.attempt ?? 1, handout, endedAt: draft.now, failure },
    { rules: userRules(action.retry, undefined), retryable: mayRetryChild(end) },
  );
}
