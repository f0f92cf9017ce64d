/**
 * The working copy of one decision: the next state, and everything that the engine wants done. The
 * execution it started from is never changed. Rules live elsewhere; this file only keeps the books.
 */
import { limits } from "../../base/limits.ts";
import type { Needs, Scope } from "../../language/data/scope.ts";
import { TooLarge, Work } from "../../language/data/work.ts";
import type { PlanAction } from "../../language/kinds/table.ts";
import type { Plan } from "../../language/plan.ts";
import type {
  Decision,
  NewMessage,
  NewTask,
  NewTimer,
  ScriptRequest,
  WaitingScript,
} from "../../model/decision.ts";
import type { ActionDefinition } from "../../model/definition.ts";
import type { EventAnswer } from "../../model/event.ts";
import {
  type ActionRecord,
  type Execution,
  type ExecutionState,
  isOpen,
  type Written,
} from "../../model/execution.ts";
import { fields, formatTaskId } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import { type ActionTimerKind, formatTimer } from "../../model/timer.ts";
import { chunkOf, encodeRecords, isInState } from "../stored/codec.ts";
import { HistoryWriter } from "../stored/history.ts";
import { nothingWritten } from "../stored/state.ts";

export type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** What the engine may look up besides the execution itself. */
export interface Surroundings {
  readonly plan: Plan;
  readonly now: number;
  /** The format to write what others read, such as messages: see model/format.ts. */
  readonly format: number;
  /** The registered rules of a user action, if any. */
  readonly registered: (actionName: string) => ActionDefinition | undefined;
  /** Absent: there is always room, and nothing is under way. */
  readonly scripts?: ScriptPlace;
}

/** What the engine knows of where its scripts are evaluated. */
export interface ScriptPlace {
  /** Whether one more may be evaluated now, beside so many that this decision asks for already. */
  readonly hasRoom: (asked: number) => boolean;
  /** Whether this process evaluates, or is about to evaluate, the script of this hand-out. */
  readonly isUnderWay: (handout: number) => boolean;
}

const emptyPlace: ScriptPlace = { hasRoom: () => true, isUnderWay: () => false };

/** Thrown inside the engine, caught by `decide`: these fields must be loaded first. */
export class MissingData extends Error {
  readonly need: readonly string[];
  constructor(need: readonly string[]) {
    super("data must be loaded");
    this.need = need;
  }
}

/** An action that has ended and whose edges are still to be decided. */
interface EndedAction {
  readonly index: number;
  readonly taken: readonly number[];
  /** Why the edges not taken are dead. */
  readonly dead: "not-chosen" | "failure-routed" | "skipped" | "skipped-by-failure";
}

const pending: ActionRecord = { status: "PENDING" };

export class Draft {
  readonly plan: Plan;
  readonly now: number;
  readonly format: number;
  readonly registered: Surroundings["registered"];
  readonly #scriptPlace: ScriptPlace;
  readonly state: Mutable<ExecutionState>;
  readonly records: (ActionRecord | undefined)[];
  /** Ended actions whose edges wait to be decided; drained before the decision is done. */
  readonly ended: EndedAction[] = [];
  /** Plan indexes that may start, in order. */
  readonly ready: number[];
  readonly closing: number[];
  readonly answers: EventAnswer[] = [];
  hold: boolean | undefined;
  changed = false;
  systemActionsStarted = 0;
  /** What this decision has read of the data. */
  readonly work = new Work();
  /** Data that its actions needed, which is in memory until it is done. */
  neededChars = 0;

  readonly written: Written;
  readonly #before: Execution;
  readonly #written = new Map<string, JsonText | null>();
  /** Chunks of records that are not part of the state. */
  #dirtyChunks: Set<number> | undefined;
  readonly #settle: Decision["settle"][number][] = [];
  readonly #expire: Decision["expire"][number][] = [];
  readonly #consume: Decision["consumeTimers"][number][] = [];
  readonly #tasks: NewTask[] = [];
  readonly #dropTasks: string[] = [];
  readonly #timers: NewTimer[] = [];
  readonly #dropTimers: string[] = [];
  readonly #messages: NewMessage[] = [];
  readonly #history: HistoryWriter;
  readonly #scripts: ScriptRequest[] = [];
  readonly #waitingScripts: WaitingScript[] = [];
  #bytes = 0;
  #effects = 0;
  #view: Scope | undefined;

  constructor(execution: Execution, surroundings: Surroundings) {
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
  }

  // Records

  record(index: number): ActionRecord {
    return this.records[index] ?? pending;
  }

  setRecord(index: number, record: ActionRecord): void {
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
    this.records[index] = record.status === "PENDING" ? pending : record;
  }

  nextHandout(): number {
    this.state.handout += 1;
    return this.state.handout;
  }

  taskId(action: PlanAction, handout: number): string {
    return formatTaskId({
      executionId: this.state.id,
      run: this.state.run,
      handout,
      actionKey: action.key,
    });
  }

  timerId(kind: ActionTimerKind, { key: actionKey }: PlanAction, handout: number): string {
    return formatTimer({ kind, run: this.state.run, handout, actionKey });
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

  read(field: string): JsonText | undefined {
    const written = this.#written.get(field);
    if (written !== undefined) return written ?? undefined;
    return this.#before.data.get(field);
  }

  write(field: string, text: JsonText | null): void {
    this.#written.set(field, text);
    this.#bytes += field.length + (text === null ? 0 : text.length);
    this.changed = true;
  }

  /** Whether an action has an output: it completed, or its failure was turned into one. */
  hasOutput(index: number): boolean {
    const record = this.records[index];
    if (record === undefined) return false;
    return record.status === "COMPLETED" || record.route !== undefined;
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
      if (index !== undefined && this.hasOutput(index)) look(fields.output(key));
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

  requireField(field: string): JsonText {
    const text = this.read(field);
    if (text === undefined) throw new MissingData([field]);
    return text;
  }

  /** `$`, as templates and references see it. Call `require` first. */
  view(): Scope {
    this.#view ??= new DraftView(this);
    return this.#view;
  }

  // Effects

  addTask(task: NewTask): void {
    this.#tasks.push(task);
    this.#bytes += task.parameters.length + task.header.length;
    this.#count();
  }

  /** The store drops before it adds: what this decision itself added is just not added. */
  dropTask(id: string): void {
    removeById(this.#tasks, id);
    this.#dropTasks.push(id);
    this.#count();
  }

  addTimer(id: string, at: number): void {
    this.#timers.push({ id, at });
    this.#count();
  }

  dropTimer(id: string): void {
    removeById(this.#timers, id);
    const { heldTimers } = this.state;
    // One that came due during a pause must not come back with the resume.
    if (heldTimers.length > 0) this.state.heldTimers = heldTimers.filter((held) => held.id !== id);
    this.#dropTimers.push(id);
    this.#count();
  }

  addMessage(id: string, body: JsonText): void {
    this.#messages.push({ id, body });
    this.#bytes += body.length;
    this.#count();
  }

  settle(taskId: string, token: string): void {
    this.#settle.push({ taskId, token });
    this.#count();
  }

  expire(taskId: string, token: string | null, until: number): void {
    this.#expire.push({ taskId, token, until });
    this.#count();
  }

  consumeTimer(id: string, claimId: string): void {
    this.#consume.push({ id, claimId });
    this.#count();
  }

  hasScriptRoom(): boolean {
    return this.#scriptPlace.hasRoom(this.#scripts.length);
  }

  isScriptUnderWay(handout: number): boolean {
    return this.#scriptPlace.isUnderWay(handout);
  }

  requestScript(script: ScriptRequest): void {
    this.#scripts.push(script);
  }

  leaveScript(script: WaitingScript): void {
    this.#waitingScripts.push(script);
  }

  #count(): void {
    this.#effects += 1;
    this.changed = true;
  }

  /** Appends to the history. `details` is JSON text. */
  log(kind: string, action?: PlanAction, attempt?: number, details?: JsonText): void {
    this.state.historySequence += 1;
    const sequence = this.state.historySequence;
    // Of a very long history the middle is left out: its end tells how the execution ended.
    if (sequence > limits.historyEntriesMax && isOpen(this.state.status)) {
      if (sequence > limits.historyEntriesMax + 1) return;
      this.#history.add(sequence, "history.thinned");
      return;
    }
    this.#history.add(sequence, kind, { action: action?.key, attempt }, details);
    this.changed = true;
  }

  /** Whether one more action or event still fits this commit, whatever it brings. */
  hasRoom(): boolean {
    const bytesMax = limits.commitBytesMax - limits.payloadBytesMax;
    return this.#effects <= limits.commitEffectsMax - 6 && this.#bytes < bytesMax;
  }

  /** The books closed: what the runtime commits. */
  finish(more: boolean): Decision {
    const { state, records } = this;
    state.ready = this.ready;
    state.closing = this.closing;
    for (const chunk of this.#dirtyChunks ?? []) {
      this.#written.set(fields.records(chunk), encodeRecords(this, chunk));
    }
    return {
      state,
      records,
      written: this.written,
      data: this.#written,
      settle: this.#settle,
      expire: this.#expire,
      consumeTimers: this.#consume,
      effects: {
        tasks: this.#tasks,
        dropTasks: this.#dropTasks,
        timers: this.#timers,
        dropTimers: this.#dropTimers,
        messages: this.#messages,
        history: this.#history.finish(),
      },
      scripts: this.#scripts,
      waitingScripts: this.#waitingScripts,
      answers: this.answers,
      ...(this.hold !== undefined && { hold: this.hold }),
      changed: this.changed,
      more,
    };
  }
}

class DraftView implements Scope {
  readonly #draft: Draft;
  #execution: string | undefined;

  constructor(draft: Draft) {
    this.#draft = draft;
  }

  get input(): JsonText {
    return this.#draft.read(fields.input) ?? "null";
  }

  get execution(): JsonText {
    this.#execution ??= executionText(this.#draft.state);
    return this.#execution;
  }

  output(key: string): JsonText | undefined {
    const index = this.#draft.plan.byKey.get(key);
    if (index === undefined || !this.#draft.hasOutput(index)) return undefined;
    return this.#draft.read(fields.output(key));
  }

  outputKeys(): readonly string[] {
    const withOutput = this.#draft.plan.actions.filter(({ index }) => this.#draft.hasOutput(index));
    return withOutput.map(({ key }) => key);
  }
}

function isSame(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((name, at) => name === others[at]);
}

function removeById(items: { readonly id: string }[], id: string): void {
  const index = items.findIndex((item) => item.id === id);
  if (index >= 0) items.splice(index, 1);
}

/** `$.execution` as text. */
export function executionText(state: ExecutionState): JsonText {
  return JSON.stringify({
    id: state.id,
    workflow: state.workflow,
    version: state.version,
    startedAt: new Date(state.startedAt).toISOString(),
    ...(state.correlationId !== undefined && { correlationId: state.correlationId }),
  });
}
