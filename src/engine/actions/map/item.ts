/** One item of a map: what its attempts are made at, and the data that its parameters see. */
import { limits } from "../../../base/limits.ts";
import { cut } from "../../../language/data/cut.ts";
import type { Scope } from "../../../language/data/scope.ts";
import { TooLarge } from "../../../language/data/work.ts";
import { type MapPlanAction, toleratedOf } from "../../../language/kinds/map.ts";
import type { TaskPlanAction } from "../../../language/kinds/task.ts";
import type { ActionRecord, AttemptRecord, Failure } from "../../../model/execution.ts";
import type { JsonText } from "../../../model/json.ts";
import { askAt, startChild } from "../../decision/children.ts";
import type { Draft, Mutable } from "../../decision/draft.ts";
import { failAction, statusOfFailure } from "../../decision/flow.ts";
import { offer, type Subject } from "../attempts.ts";
import { readAs, resolveValue, withOwn } from "../common.ts";
import { type KeptAttempts, withAttempt } from "../kept-attempts.ts";
import type { MapRecords } from "./records.ts";

/** What stays of a failure while its item is tried again. */
const messageCharsKept = 200;

export class ItemSubject implements Subject {
  readonly draft: Draft;
  readonly task: TaskPlanAction;
  readonly item: number;
  readonly #action: MapPlanAction;
  readonly #records: MapRecords;

  constructor(records: MapRecords, action: MapPlanAction, item: number) {
    this.draft = records.draft;
    // Of children only the key is asked for.
    this.task = action.itemTask ?? (action as MapPlanAction & TaskPlanAction);
    this.item = item;
    this.#action = action;
    this.#records = records;
  }

  get record(): ActionRecord {
    return this.#records.record(this.item);
  }

  setRecord(record: ActionRecord): void {
    this.#records.setRecord(this.item, record);
  }

  /** Of earlier ones what their repeats are known by: records of items are written with their neighbours. */
  withAttempt(attempt: AttemptRecord): KeptAttempts {
    const { attempts = [], ...dropped } = this.record;
    const before = { ...dropped, attempts: attempts.map(withoutFailure) };
    if (attempt.failure === undefined) return withAttempt(before, attempt);
    const { code, message } = attempt.failure;
    const failure = { code, message: cut(message, messageCharsKept) };
    return withAttempt(before, { ...attempt, failure });
  }

  /** Maps may have more items than a history has entries: it tells the first that have failed. */
  log(): void {}

  complete(output: JsonText, kept: KeptAttempts): void {
    this.#end("COMPLETED", kept, output);
    const { open, completed, chars } = this.#records.progress;
    const added = { completed: completed + 1, chars: chars + output.length + 1 };
    this.#records.change({ open: open - 1, ...added });
    goOn(this.#records, this.#action);
  }

  fail(failure: Failure, kept: KeptAttempts = this.record): void {
    const { draft, item } = this;
    const records = this.#records;
    const outcome = JSON.stringify(failure);
    this.#end(statusOfFailure(failure), kept, outcome);
    const { open, failed, chars, failures } = records.progress;
    const isShown = failures.length < limits.mapFailuresShown;
    records.change({
      open: open - 1,
      failed: failed + 1,
      chars: chars + failureChars(item, outcome),
      ...(isShown && { failures: [...failures, item] }),
    });
    if (isShown) {
      const details = JSON.stringify({ index: item, error: failure });
      draft.log("item.failed", this.#action, this.record.attempt, details);
    }
    if (failed + 1 > toleratedOf(this.#action.tolerate, records.progress.count)) {
      failMap(records, this.#action);
    } else goOn(records, this.#action);
  }

  #end(status: ActionRecord["status"], kept: KeptAttempts, outcome: JsonText): void {
    const { draft, record } = this;
    for (const timer of record.timers ?? []) draft.dropTimer(timer);
    const ended: Mutable<ActionRecord> = { status };
    ended.startedAt = record.startedAt ?? draft.now;
    ended.endedAt = draft.now;
    if (record.attempt !== undefined) ended.attempt = record.attempt;
    if (record.child !== undefined) ended.child = record.child;
    // The failure is the outcome: the attempt need not hold it as well.
    if (kept.attempts !== undefined) {
      ended.attempts = kept.attempts.map(withoutFailure);
    }
    if (kept.attemptsDropped !== undefined) ended.attemptsDropped = kept.attemptsDropped;
    this.#records.setRecord(this.item, ended, outcome);
  }
}

function withoutFailure({ failure: _failure, ...attempt }: AttemptRecord): AttemptRecord {
  return attempt;
}

/** In the output, with what separates it from others. */
export function failureChars(item: number, outcome: JsonText): number {
  return 'null,{"index":,"error":},'.length + `${item}`.length + outcome.length;
}

/** More items may begin, or the map may have ended: it gets its turn when the events are applied. */
export function goOn({ draft, progress }: MapRecords, action: MapPlanAction): void {
  const { open, next, count } = progress;
  const hasTurn = open === 0 || (next < count && open < mostOpen(action, progress));
  if (hasTurn && !draft.ready.includes(action.index)) draft.ready.push(action.index);
}

export function mostOpen(
  action: MapPlanAction,
  { maxConcurrency = action.maxConcurrency }: MapRecords["progress"],
): number {
  return maxConcurrency;
}

/** More have failed than are tolerated: the others are dropped, in portions, by close.ts. */
function failMap(records: MapRecords, action: MapPlanAction): void {
  const { draft } = records;
  const { failed, failures, count } = records.progress;
  const first = failures.map((index) => {
    const { code, message } = JSON.parse(records.outcome(index)!) as Failure;
    return { index, error: { code, message: cut(message, messageCharsKept) } };
  });
  const message = `${failed} of ${count} items failed, more than are tolerated.`;
  const place = draft.ready.indexOf(action.index);
  if (place >= 0) draft.ready.splice(place, 1);
  failAction(draft, action, {
    failure: { code: "ITEMS_FAILED", message, details: { failed, failures: first } },
  });
}

/** Begins the next attempt at an item, or fails it where its parameters cannot be resolved. */
export function attemptItem(records: MapRecords, action: MapPlanAction, index: number): void {
  const subject = new ItemSubject(records, action, index);
  const item = records.item(index);
  const parameters = parametersOf(records.draft, action, index, item);
  if (typeof parameters !== "string") {
    subject.fail(parameters);
  } else if (action.itemTask === undefined) {
    startItemChild(records, action, index, parameters);
  } else if (!parameters.startsWith("{")) {
    const message = `The parameters of an item must be an object, not ${cut(parameters)}. Give the map "parameters", such as {"item": "$.item"}.`;
    subject.fail({ code: "INVALID_VALUE", message });
  } else {
    const isShown = !action.passesItem && item.length <= limits.mapContextCharsMax;
    offer(subject, { parameters, item: isShown ? item : undefined });
  }
}

function parametersOf(
  draft: Draft,
  action: MapPlanAction,
  index: number,
  item: JsonText,
): JsonText | Failure {
  draft.work.beginAction();
  const { parameters, strict } = action;
  return orTooLarge(() =>
    readAs(draft, action, () => {
      const view = itemScope(draft.view(), index, item);
      return resolveValue(draft, parameters, { strict, view });
    }),
  );
}

/** Each attempt is a child of its own. */
function startItemChild(
  records: MapRecords,
  action: MapPlanAction,
  item: number,
  input: JsonText,
): void {
  const { draft } = records;
  const { dueAt: _dueAt, ...before } = records.record(item);
  const handout = draft.nextHandout();
  const version = draft.record(action.index).childVersion!;
  const child = startChild(draft, action, {
    handout,
    item,
    target: action.target!,
    version,
    input,
  });
  const timer = draft.timerId("child", action, handout, item);
  draft.addTimer(timer, askAt(draft, draft.now));
  records.setRecord(item, {
    ...before,
    status: "WAITING",
    startedAt: before.startedAt ?? draft.now,
    handout,
    attempt: (before.attempt ?? 0) + 1,
    timers: [timer],
    child,
  });
}

/** The same child is started again, which the store has lost. */
export function replaceItemChild(records: MapRecords, action: MapPlanAction, index: number): void {
  const { draft } = records;
  const { handout } = records.record(index);
  const input = parametersOf(draft, action, index, records.item(index));
  if (typeof input !== "string") return;
  const version = draft.record(action.index).childVersion!;
  startChild(draft, action, {
    handout: handout!,
    item: index,
    target: action.target!,
    version,
    input,
  });
}

function orTooLarge(resolve: () => JsonText | Failure): JsonText | Failure {
  try {
    return resolve();
  } catch (error) {
    if (!(error instanceof TooLarge)) throw error;
    return { code: "TOO_LARGE", message: error.message };
  }
}

function itemScope(view: Scope, index: number, item: JsonText): Scope {
  return withOwn(view, (name) =>
    name === "item" ? item : name === "index" ? `${index}` : undefined,
  );
}

export function isOpenItem({ status }: ActionRecord): boolean {
  return status === "SCHEDULED" || status === "WAITING" || status === "RETRYING";
}
