/**
 * The working copy of one decision: the next state, and everything that the engine wants done. The
 * execution it started from is never changed. Rules live elsewhere; this file only keeps the books.
 */
import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import type { Needs, Scope } from "../../language/data/scope.ts";
import { TooLarge, Work } from "../../language/data/work.ts";
import type { PlanAction } from "../../language/kinds/table.ts";
import type { Plan } from "../../language/plan.ts";
import type { Decision } from "../../model/decision.ts";
import type { EventAnswer } from "../../model/event.ts";
import {
  type ActionRecord,
  type Execution,
  type ExecutionState,
  hasOutput,
  isOpen,
  type LeftRecord,
  type MapProgress,
  runOfIds,
  type Written,
} from "../../model/execution.ts";
import { fields, formatTaskId } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import { type ActionTimerKind, formatTimer } from "../../model/timer.ts";
import { chunkOf, encodeRecords, isInState, recordChunksMax } from "../stored/codec.ts";
import { HistoryWriter } from "../stored/history.ts";
import { allRecordFields, type EndedMap, longOutcomeFields, wholeOutput } from "../stored/items.ts";
import { nothingWritten } from "../stored/state.ts";
import { DraftData, MissingData } from "./data.ts";
import { Recovery } from "./recovery.ts";
import { emptyPlace, type ScriptPlace, type Surroundings } from "./surroundings.ts";
import { View } from "./view.ts";

export type Mutable<T> = { -readonly [K in keyof T]: T[K] };

type Keyed = Pick<PlanAction, "key">;

/** System actions that one commit starts. */
const systemActionsPerCommitMax = 50;

/** Rows that an event, or an action that starts, brings at most beside chunks of records. */
const rowsPerEventMax = 16;

const pending: ActionRecord = { status: "PENDING" };

/** One decision under way. It throws MissingData and TooLarge. */
export class Draft extends DraftData {
  readonly plan: Plan;
  readonly now: number;
  readonly format: number;
  readonly registered: Surroundings["registered"];
  readonly #scriptPlace: ScriptPlace;
  readonly state: Mutable<ExecutionState>;
  readonly records: (ActionRecord | undefined)[];
  /** Ended actions whose edges wait to be decided; drained before the decision is done. */
  readonly ended: number[] = [];
  /** Plan indexes that may start, in order. */
  readonly ready: number[];
  readonly closing: (number | LeftRecord)[];
  /** Whether an earlier commit had no room for all that was to be closed. */
  readonly wasClosing: boolean;
  readonly answers: EventAnswer[] = [];
  hold: boolean | undefined;
  /** While an operation is applied: who does it, for the entries that it leaves in the history. */
  who: string | undefined;
  systemActionsStarted = 0;
  /** What this decision has read of the data. */
  readonly work = new Work();
  /** The action whose templates are resolved, if any. */
  reader: number | undefined;
  /** Data that its actions needed, which is in memory until it is done. */
  neededChars = 0;

  readonly written: Written;
  readonly #before: Execution;
  /** Chunks of records that are not part of the state. */
  #dirtyChunks: Set<number> | undefined;
  readonly #history: HistoryWriter;
  #view: Scope | undefined;
  #recovery: Recovery | undefined;

  constructor(execution: Execution, surroundings: Surroundings) {
    super(execution.data);
    this.plan = surroundings.plan;
    this.now = surroundings.now;
    this.format = surroundings.format;
    this.registered = surroundings.registered;
    this.#scriptPlace = surroundings.scripts ?? emptyPlace;
    this.#before = execution;
    this.written = execution.written ?? nothingWritten();
    this.#history = new HistoryWriter(surroundings.now);
    this.state = { ...execution.state };
    this.records = execution.records.slice();
    this.ready = [...execution.state.ready];
    this.closing = [...execution.state.closing];
    this.wasClosing = this.closing.length > 0;
  }

  // Records

  record(index: number): ActionRecord {
    return this.records[index] ?? pending;
  }

  setRecord(index: number, record: ActionRecord): void {
    if (this.records[index]?.endedAt !== undefined) this.#recovery = undefined;
    else if (record.endedAt !== undefined) this.#recovery?.ends(index);
    this.records[index] = record;
    this.changed = true;
    const chunk = chunkOf(this.state, index);
    if (isInState(this.state, chunk)) return;
    this.#dirtyChunks ??= new Set();
    this.#dirtyChunks.add(chunk);
  }

  /** What its edges said is of no use any more. */
  forgetEdges(index: number): void {
    if (this.records[index]?.edges === undefined) return;
    const { edges, ...record } = this.record(index);
    // Maps and loops in a later run know how far they are.
    const { status, items, rounds } = record;
    const isPlain = status === "PENDING" && items === undefined && rounds === undefined;
    this.records[index] = isPlain ? pending : record;
  }

  /** What the records say about failures; to be asked again after each change. */
  recovery(): Recovery {
    this.#recovery ??= new Recovery(this.plan.actions, this.records);
    return this.#recovery;
  }

  nextHandout(): number {
    this.state.handout += 1;
    return this.state.handout;
  }

  /** `item`: of an item of a map. */
  taskId({ key: actionKey }: Keyed, handout: number, item?: number): string {
    return formatTaskId({
      executionId: this.state.id,
      run: runOfIds(this.state),
      handout,
      actionKey,
      item,
    });
  }

  timerId(
    kind: ActionTimerKind,
    { key: actionKey }: Keyed,
    handout: number,
    item?: number,
  ): string {
    const run = runOfIds(this.state);
    return formatTimer({ kind, run, handout, actionKey, item });
  }

  /** A timer that was due, and will not be set again. */
  spendTimer({ index }: PlanAction, timer: string): void {
    const record = this.record(index);
    this.setRecord(index, {
      ...record,
      timers: record.timers?.filter((one) => one !== timer) ?? [],
    });
  }

  // Data

  /** Whether one more action, or item of a map, may begin in this decision. */
  hasRoomToStart(): boolean {
    if (this.systemActionsStarted >= systemActionsPerCommitMax) return false;
    return this.hasRoom() && this.hasWorkLeft();
  }

  /** What is written of records beside the state may be all chunks of it, with any further event. */
  override hasRoom(): boolean {
    if (!super.hasRoom()) return false;
    const { recordChunks = 1 } = this.state;
    const chunks = Math.min(recordChunks, recordChunksMax);
    const rows = this.effectCount + this.fieldCount + chunks;
    return rows <= limits.commitRowsMax - rowsPerEventMax;
  }

  /** Reading much data takes long, and memory: what follows is left to the next decision. */
  hasWorkLeft(): boolean {
    const { work, neededChars } = this;
    return work.spent < limits.decisionWorkMax && neededChars < limits.actionDataCharsMax;
  }

  /** Whether an action has an output: it completed, or its failure was turned into one. */
  hasOutput(index: number): boolean {
    return hasOutput(this.records[index]);
  }

  /** Throws MissingData when something has not been loaded, and TooLarge when it is too much. */
  require(needs: Needs): void {
    const missing: string[] = [];
    let chars = 0;
    const look = (field: string) => {
      const text = this.read(field);
      if (text === undefined) missing.push(field);
      else chars += text.length;
    };
    if (needs.input) look(fields.input);
    for (const key of needs.outputs === "all" ? this.plan.byKey.keys() : needs.outputs) {
      const index = this.plan.byKey.get(key);
      if (index === undefined || !this.hasOutput(index)) continue;
      look(fields.output(key));
      for (const field of this.#fieldsOfLarge(key, index)) look(field);
    }
    const { refused = [] } = this.#before;
    if (chars > limits.actionDataCharsMax || refused.some((names) => isSame(names, missing))) {
      this.neededChars = Number.POSITIVE_INFINITY;
      const most = limits.actionDataCharsMax / 1024 / 1024;
      throw new TooLarge(`It reads more than ${most} MiB of data, the most for one action.`);
    }
    if (missing.length > 0) throw new MissingData(missing);
    this.neededChars += chars;
  }

  output(key: string, index: number): JsonText | undefined {
    const items = this.records[index]?.items;
    if (items?.isLarge !== true) return this.read(fields.output(key));
    return wholeOutput(this.#endedMap(key, items), (field) => this.read(field));
  }

  #endedMap(key: string, progress: MapProgress): EndedMap {
    return { key, progress, elementsOf: (field) => this.entries(field) };
  }

  /** What a large output of a map is made of. Names are known step by step: some stand in others. */
  #fieldsOfLarge(key: string, index: number): readonly string[] {
    const items = this.records[index]?.items;
    if (items?.isLarge !== true) return [];
    if (items.chars > limits.mapOutputCharsMax) {
      const most = limits.mapOutputCharsMax / 1024 / 1024;
      throw new TooLarge(
        `The output of ${key} is larger than ${most} MiB: read its items page by page.`,
      );
    }
    const records = allRecordFields(key, items);
    for (const field of records) this.forget(field);
    if (records.some((field) => this.read(field) === undefined)) return records;
    const long = longOutcomeFields(this.#endedMap(key, items));
    for (const field of long) this.forget(field);
    return [...records, ...long];
  }

  /** `$`, as templates and references see it. Call `require` first. */
  view(): Scope {
    this.#view ??= new View(this);
    return this.#view;
  }

  /** `$.execution.error` of the action that reads it: the failure that it handles. */
  handledFailure(): JsonText {
    const { errorOf } = this.record(this.reader ?? -1);
    if (errorOf === undefined) return "null";
    const { key: action } = this.plan.actions[errorOf]!;
    return JSON.stringify({ action, ...this.record(errorOf).failure });
  }

  // Effects

  override dropTimer(id: string): void {
    const { heldTimers } = this.state;
    // One that came due during a pause must not come back with the resume.
    if (heldTimers.length > 0) this.state.heldTimers = heldTimers.filter((held) => held.id !== id);
    super.dropTimer(id);
  }

  hasScriptRoom(): boolean {
    return this.#scriptPlace.hasRoom(this.scripts.length);
  }

  isScriptUnderWay(handout: number): boolean {
    return this.#scriptPlace.isUnderWay(handout);
  }

  /** Appends to the history. `details` is JSON text. */
  log(kind: string, action?: PlanAction, attempt?: number, details?: JsonText): void {
    this.state.historySequence += 1;
    const sequence = this.state.historySequence;
    // The middle of a very long history is left out; its end shows how the execution ended.
    if (sequence > limits.historyEntriesMax && isOpen(this.state.status)) {
      if (sequence > limits.historyEntriesMax + 1) return;
      this.#history.add(sequence, "history.thinned");
      return;
    }
    const about = { action: action?.key, attempt, who: this.who };
    this.#history.add(sequence, kind, about, details);
    this.changed = true;
  }

  /** The books closed: what the runtime commits. */
  finish(more: boolean): Decision {
    const { state, records } = this;
    state.ready = this.ready;
    state.closing = this.closing;
    this.finishEntries();
    for (const chunk of this.#dirtyChunks ?? []) {
      this.writtenFields.set(fields.records(chunk), encodeRecords(this, chunk));
    }
    return {
      state,
      records,
      written: this.written,
      data: this.writtenFields,
      settle: this.settled,
      expire: this.expired,
      consumeTimers: this.consumed,
      effects: {
        tasks: this.tasks,
        dropTasks: this.droppedTasks,
        timers: this.timers,
        dropTimers: this.droppedTimers,
        messages: this.messages,
        history: this.#history.finish(),
      },
      scripts: this.scripts,
      waitingScripts: this.waitingScripts,
      ...(this.forgotten.length > 0 && { forget: this.forgotten }),
      answers: this.answers,
      ...defined({ hold: this.hold }),
      changed: this.changed,
      more,
    };
  }
}

function isSame(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((name, at) => name === others[at]);
}
