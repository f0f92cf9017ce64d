/**
 * An engine with a world around it that keeps what a store would keep: tasks, timers, data. Every
 * decision is made twice and compared, passes through its stored form, and is checked against the
 * invariants. Tests choose what happens next.
 */
import { expect } from "bun:test";
import { causeFields } from "../../src/engine/causes.ts";
import { type Beginning, begin, decide } from "../../src/engine/decide.ts";
import { causesOf, takenTargets } from "../../src/engine/decision/recovery.ts";
import type { Fork } from "../../src/engine/fork.ts";
import { violations } from "../../src/engine/invariants.ts";
import { afterDecision, decodeExecution, encodeState } from "../../src/engine/stored/codec.ts";
import { readHistory } from "../../src/engine/stored/history.ts";
import { compilePlan, type Plan } from "../../src/language/plan.ts";
import type { ChildBeginning } from "../../src/model/child.ts";
import type { Decision, NewTask, ScriptRequest, WaitingScript } from "../../src/model/decision.ts";
import type { ActionDefinition, WorkflowDefinition } from "../../src/model/definition.ts";
import type { HistoryEntry } from "../../src/model/entry.ts";
import type { EventAnswer, ExecutionEvent, TaskOutcome } from "../../src/model/event.ts";
import type { ActionRecord, Execution } from "../../src/model/execution.ts";
import { currentFormat } from "../../src/model/format.ts";
import { formatToken, parseVersionField, tokenPrefix } from "../../src/model/ids.ts";
import { withUnwritten } from "../../src/runtime/driving/load.ts";

export const executionId = "018f0000-0000-7000-8000-000000000001";

export class World {
  readonly plan: Plan;
  now = 1_700_000_000_000;
  execution: Execution;
  readonly tasks = new Map<string, NewTask>();
  readonly timers = new Map<string, number>();
  readonly messages: string[] = [];
  readonly history: HistoryEntry[] = [];
  scripts: ScriptRequest[] = [];
  /** How often each action was started: user actions by tasks, others by their history. */
  readonly startsOf = new Map<string, number>();
  held = false;
  /** What the servers beside it read, which may rise. */
  format: number;
  /** The newest versions of other workflows; all others are unknown. */
  readonly #versions: Readonly<Record<string, number>>;
  /** All fields of its data. What the execution holds in memory is loaded from here. */
  readonly stored = new Map<string, string>();
  readonly registered: Record<string, ActionDefinition>;
  /** How many scripts may be evaluated at the same time, and which are. */
  scriptRoom = Number.POSITIVE_INFINITY;
  readonly underWay = new Set<number>();
  waitingScripts: WaitingScript[] = [];

  constructor(
    definition: WorkflowDefinition,
    options: {
      input?: unknown;
      registered?: Record<string, ActionDefinition>;
      signal?: { event: string; payload: string };
      format?: number;
      scriptRoom?: number;
      versions?: Record<string, number>;
      child?: ChildBeginning;
      fork?: Fork;
    } = {},
  ) {
    this.format = options.format ?? currentFormat;
    this.plan = compilePlan(definition, 1);
    this.registered = options.registered ?? {};
    this.scriptRoom = options.scriptRoom ?? Number.POSITIVE_INFINITY;
    this.#versions = options.versions ?? {};
    const decision = this.#begin({
      ...this.#surroundings(),
      id: executionId,
      input: JSON.stringify(options.input ?? {}),
      seed: 42,
      ...(options.signal !== undefined && { signal: options.signal }),
      ...(options.child !== undefined && { child: options.child }),
      ...(options.fork !== undefined && { fork: options.fork }),
    });
    const empty = { state: decision.state, records: [], data: new Map() };
    this.execution = empty;
    this.#apply(decision);
    this.#goOn(decision.more);
  }

  get status() {
    return this.execution.state.status;
  }

  record(key: string): ActionRecord | undefined {
    const index = this.plan.byKey.get(key);
    return index === undefined ? undefined : this.execution.records[index];
  }

  statusOf(key: string): string {
    return this.record(key)?.status ?? "PENDING";
  }

  output(key: string): unknown {
    const text = this.stored.get(`output:${key}`);
    return text === undefined ? undefined : JSON.parse(text);
  }

  send(...events: ExecutionEvent[]): EventAnswer[] {
    const answers: EventAnswer[] = [];
    let rest = events;
    while (rest.length > 0) {
      const decision = this.#decide(rest);
      answers.push(...decision.answers);
      rest = rest.slice(decision.answers.length);
      this.#apply(decision);
      if (rest.length === 0) this.#goOn(decision.more);
    }
    return answers;
  }

  /** The open task of an action. */
  task(key: string): NewTask {
    for (const task of this.tasks.values()) if (task.id.endsWith(`:${key}`)) return task;
    throw new Error(`no open task for ${key}; open: ${[...this.tasks.keys()]}`);
  }

  tokenOf(task: NewTask): string {
    return formatToken(tokenPrefix(this.now, "nonce"), task.id);
  }

  finish(key: string, outcome: TaskOutcome): EventAnswer {
    const task = this.task(key);
    const token = this.tokenOf(task);
    return this.send({ type: "result", taskId: task.id, token, outcome })[0]!;
  }

  complete(key: string, output: unknown = {}): EventAnswer {
    return this.finish(key, { ok: true, output: JSON.stringify(output) });
  }

  fail(key: string, code = "BROKEN", retryable = true): EventAnswer {
    const failure = { code, message: "it broke" };
    return this.finish(key, { ok: false, failure, retryable });
  }

  /** Lets time pass to the next timer and fires it; false without one. */
  fireNext(): boolean {
    const [next] = [...this.timers]
      .filter(([id]) => id !== "retention")
      .sort(([, a], [, b]) => a - b);
    if (next === undefined) return false;
    this.now = Math.max(this.now, next[1]);
    this.fire(next[0]);
    return true;
  }

  fire(id: string): void {
    this.send({ type: "timer", id, claimId: "claim" });
  }

  #surroundings() {
    const scripts = {
      hasRoom: (asked: number) => asked < this.scriptRoom,
      isUnderWay: (handout: number) => this.underWay.has(handout),
    };
    const registered = (name: string) => this.registered[name];
    return { plan: this.plan, now: this.now, format: this.format, registered, scripts };
  }

  #decide(events: readonly ExecutionEvent[]): Decision {
    const data = withUnwritten(this.execution.data, causeFields(events));
    this.execution = { ...this.execution, data };
    const decision = decide(this.execution, events, this.#surroundings());
    if ("need" in decision) {
      const found = this.#lookUp(decision.need);
      this.execution = { ...this.execution, data: new Map([...data, ...found]) };
      return this.#decide(events);
    }
    const again = decide(this.execution, events, this.#surroundings());
    expect(again).toEqual(decision);
    return decision;
  }

  #begin(beginning: Beginning): Decision {
    const decision = begin(beginning);
    if (!("need" in decision)) return decision;
    const { lookups = new Map() } = beginning;
    const found = this.#lookUp(decision.need);
    return this.#begin({ ...beginning, lookups: new Map([...lookups, ...found]) });
  }

  #lookUp(names: readonly string[]): ReadonlyMap<string, string> {
    const found = names.map((name): [string, string] => {
      const text = this.stored.get(name);
      if (text !== undefined) return [name, text];
      const sought = parseVersionField(name);
      if (sought === undefined) throw new Error(`needs ${names}`);
      const version = sought.version ?? this.#versions[sought.workflow];
      return [name, JSON.stringify(version ?? `There is no workflow ${sought.workflow}.`)];
    });
    return new Map(found);
  }

  #goOn(more: boolean): void {
    for (let going = more; going; ) {
      const decision = this.#decide([{ type: "continue" }]);
      this.#apply(decision);
      going = decision.more;
    }
  }

  #apply(decision: Decision): void {
    const { effects } = decision;
    for (const { taskId } of decision.settle) expect(this.tasks.delete(taskId)).toBe(true);
    for (const { taskId } of decision.expire) this.tasks.delete(taskId);
    for (const { id } of decision.consumeTimers) expect(this.timers.delete(id)).toBe(true);
    for (const id of effects.dropTasks) this.tasks.delete(id);
    for (const id of effects.dropTimers) this.timers.delete(id);
    for (const task of effects.tasks) {
      expect(this.tasks.has(task.id)).toBe(false);
      this.tasks.set(task.id, task);
    }
    for (const { id, at } of effects.timers) this.timers.set(id, at);
    for (const { body } of effects.messages) this.messages.push(body);
    for (const text of effects.history) {
      for (const entry of readHistory(text)) this.#note(entry);
    }
    if (decision.hold !== undefined) this.held = decision.hold;
    this.scripts = [...this.scripts, ...decision.scripts];
    this.waitingScripts = [...this.waitingScripts, ...decision.waitingScripts];
    for (const [name, text] of decision.data) {
      if (text === null) this.stored.delete(name);
      else this.stored.set(name, text);
    }
    const after = afterDecision(this.execution, decision);
    this.execution = decodeExecution(encodeState(after, currentFormat), after.data);
    this.#checkEdges();
    const owned = { tasks: new Set(this.tasks.keys()), timers: new Set(this.timers.keys()) };
    const whole = { ...this.execution, data: this.stored };
    expect(violations(this.plan, whole, owned)).toEqual([]);
  }

  /** Counts of edges are what the ended actions lead to. */
  #checkEdges(): void {
    const { state, records } = this.execution;
    if (state.failuresTravel !== true || state.status !== "RUNNING") return;
    for (const { index, incoming } of this.plan.actions) {
      const { status, edges } = records[index] ?? {};
      if (status !== "PENDING" || edges === undefined) continue;
      const counted = { decided: 0, taken: 0, failed: 0 };
      for (const source of this.plan.actions) {
        const record = records[source.index];
        if (record?.endedAt === undefined || !source.targets.includes(index)) continue;
        const isTaken = takenTargets(source, record).includes(index);
        const hasCauses = causesOf(source.index, record).length > 0;
        counted.decided += 1;
        counted.taken += isTaken ? 1 : 0;
        counted.failed += !isTaken && hasCauses && source.nextTargets.has(index) ? 1 : 0;
      }
      expect(counted).toEqual(edges);
      expect(edges.decided).toBeLessThan(incoming);
    }
  }

  #note(entry: HistoryEntry): void {
    this.history.push(entry);
    const first = entry.kind === "action.scheduled" && entry.attempt === 1;
    if (entry.action === undefined || !(first || entry.kind === "action.waiting")) return;
    this.startsOf.set(entry.action, (this.startsOf.get(entry.action) ?? 0) + 1);
  }
}
