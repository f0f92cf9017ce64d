/**
 * The engine: `decide` takes an execution and what happened to it, and answers what follows. It is
 * pure and synchronous: no IO, no clock, no chance but the execution's own seed. It is the only
 * place that knows the rules of workflows; actions/ holds those of each kind, flow.ts the edges.
 */
import { unreachable } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { JavascriptPlanAction, PlanAction, UserPlanAction } from "../language/plan.ts";
import type { Decision, NeedData } from "../model/decision.ts";
import type { EventAnswer, ExecutionEvent } from "../model/event.ts";
import type { ActionRecord, Execution, ExecutionState } from "../model/execution.ts";
import { isOpen } from "../model/execution.ts";
import { fields, parseTaskId } from "../model/ids.ts";
import type { JsonText } from "../model/json.ts";
import { failIfTooLarge } from "./actions/common.ts";
import { endDelay } from "./actions/delay.ts";
import { endJavascript, javascriptDue, takeJavascriptTurn } from "./actions/javascript.ts";
import { startAction } from "./actions/start.ts";
import {
  applyLeaseExpiry,
  applyQueueTimeout,
  applyResult,
  applyRetryDue,
  applyTotalTimeout,
} from "./actions/user.ts";
import { deliverSignal, timeOutWait } from "./actions/wait.ts";
import { causeFields, once } from "./causes.ts";
import { Draft, MissingData, type Surroundings } from "./draft.ts";
import { close, completeExecution, recordFollowUpFailure } from "./end.ts";
import { makeReady, propagate } from "./flow.ts";
import { applyExecutionTimeout, applyOperation } from "./operations.ts";
import { repair } from "./repair.ts";

export interface Beginning extends Surroundings {
  readonly id: string;
  readonly input: JsonText;
  readonly seed: number;
  readonly priority?: number;
  readonly correlationId?: string;
  readonly traceContext?: string;
  readonly traceState?: string;
  readonly depth?: number;
  readonly signal?: { readonly event: string; readonly payload: JsonText };
  readonly generatedId?: boolean;
}

const accepted: EventAnswer = { type: "accepted" };
const stale: EventAnswer = { type: "stale" };

/** The first decision of a new execution: its roots start. */
export function begin(beginning: Beginning): Decision {
  const { plan, now, input } = beginning;
  const empty: Execution = {
    state: firstState(beginning),
    records: [],
    data: new Map(),
  };
  const draft = new Draft(empty, beginning);
  draft.write(fields.input, input);
  const { state } = draft;
  draft.log("execution.started", undefined, undefined, `{"version":${plan.version}}`);
  if (plan.timeoutMs !== undefined) {
    state.timeoutAt = now + plan.timeoutMs;
    state.timeoutTimer = `timeout:${state.run}`;
    draft.addTimer(state.timeoutTimer, state.timeoutAt);
  }
  if (beginning.signal !== undefined) {
    deliverSignal(draft, beginning.signal.event, beginning.signal.payload);
  }
  for (const root of plan.roots) makeReady(draft, root);
  return proceed(draft);
}

function firstState(beginning: Beginning): ExecutionState {
  const { plan, now } = beginning;
  const isLarge = plan.actions.length > limits.recordChunkActions;
  const inSmallChunks = isLarge && beginning.format >= 3;
  const chunkActions = inSmallChunks ? limits.largeChunkActions : limits.recordChunkActions;
  const recordChunks = Math.ceil(plan.actions.length / chunkActions);
  return {
    ...(recordChunks > 1 && { recordChunks }),
    ...(inSmallChunks && { chunkActions }),
    id: beginning.id,
    ...(beginning.generatedId === true && { generatedId: true }),
    workflow: plan.workflow,
    version: plan.version,
    ...(beginning.correlationId !== undefined && { correlationId: beginning.correlationId }),
    ...(beginning.traceContext !== undefined && { traceContext: beginning.traceContext }),
    ...(beginning.traceState !== undefined && { traceState: beginning.traceState }),
    status: "RUNNING",
    run: 1,
    handout: 0,
    seed: beginning.seed,
    priority: beginning.priority ?? 0,
    startedAt: now,
    pausedMs: 0,
    heldTimers: [],
    ready: [],
    closing: [],
    open: 0,
    signals: [],
    signalSequence: 0,
    causes: [],
    historySequence: 0,
    depth: beginning.depth ?? 0,
  };
}

/**
 * What follows from these events, in their order. When data must be loaded first, answers which;
 * when a bound of one commit is reached, fewer answers than events, and `more`.
 */
export function decide(
  execution: Execution,
  events: readonly ExecutionEvent[],
  surroundings: Surroundings,
): Decision | NeedData {
  try {
    // All at once: each would otherwise be missed by a decision of its own.
    const missing = causeFields(events).filter((name) => !execution.data.has(name));
    if (missing.length > 0) return { need: missing };
    const draft = new Draft(execution, surroundings);
    for (const event of events) {
      if (!draft.hasRoom()) break;
      draft.answers.push(apply(draft, event));
      propagate(draft);
    }
    return proceed(draft);
  } catch (error) {
    if (error instanceof MissingData) return { need: error.need };
    throw error;
  }
}

/** Starts what may start and ends what has ended, as far as one commit goes. */
function proceed(draft: Draft): Decision {
  const { state, plan } = draft;
  close(draft);
  propagate(draft);
  restoreHeldTimers(draft);
  while (state.status === "RUNNING" && draft.ready.length > 0 && hasRoomToStart(draft)) {
    const action = plan.actions[draft.ready.shift()!]!;
    draft.forgetEdges(action.index);
    startAction(draft, action);
    propagate(draft);
  }
  if (state.status === "RUNNING" && state.open === 0 && hasWorkLeft(draft))
    completeExecution(draft);
  return draft.finish(guardCut(draft));
}

function hasRoomToStart(draft: Draft): boolean {
  if (draft.systemActionsStarted >= limits.systemActionsPerCommitMax) return false;
  return draft.hasRoom() && hasWorkLeft(draft);
}

/** Reading much data takes long, and memory: what follows is left to the next decision. */
function hasWorkLeft({ work, neededChars }: Draft): boolean {
  return work.spent < limits.decisionWorkMax && neededChars < limits.actionDataCharsMax;
}

function restoreHeldTimers(draft: Draft): void {
  const { state } = draft;
  if (state.status !== "RUNNING" || state.heldTimers.length === 0) return;
  const held = [...state.heldTimers];
  for (let timer = held.shift(); timer !== undefined; timer = held.shift()) {
    draft.addTimer(timer.id, Math.max(timer.at, draft.now));
    if (!draft.hasRoom()) break;
  }
  state.heldTimers = held;
}

/** What one commit could not hold is continued by a timer due now, whoever is alive then. */
function guardCut(draft: Draft): boolean {
  const { state } = draft;
  const running = state.status === "RUNNING";
  const cut =
    draft.closing.length > 0 ||
    (running && (draft.ready.length > 0 || state.heldTimers.length > 0 || state.open === 0));
  if (cut && state.continueTimer === undefined) {
    state.continueTimer = `continue:${draft.nextHandout()}`;
    draft.addTimer(state.continueTimer, draft.now);
  } else if (!cut && state.continueTimer !== undefined) {
    draft.dropTimer(state.continueTimer);
    delete state.continueTimer;
  }
  return cut;
}

function apply(draft: Draft, event: ExecutionEvent): EventAnswer {
  switch (event.type) {
    case "result":
      return applyTaskEvent(draft, event.taskId, (action, handout) =>
        applyResult(draft, action, handout, event),
      );
    case "lease-expired":
      draft.expire(event.taskId, event.token, event.leaseUntil);
      return applyTaskEvent(draft, event.taskId, (action, handout) =>
        applyLeaseExpiry(draft, action, { ...event, handout }),
      );
    case "queue-timeout":
      draft.expire(event.taskId, null, event.queueUntil);
      return applyTaskEvent(draft, event.taskId, (action, handout) =>
        applyQueueTimeout(draft, action, handout),
      );
    case "timer":
      return applyTimer(draft, event);
    case "signal":
      return once(draft, event.cause, () => applySignal(draft, event));
    case "operation":
      return once(draft, event.cause, () => applyOperation(draft, event));
    case "script":
      return applyToScript(draft, event.handout, (action) =>
        endJavascript(draft, action, event.outcome),
      );
    case "script-turn":
      return applyToScript(draft, event.handout, (action, record) => {
        if (record.status === "WAITING") {
          failIfTooLarge(draft, action, () => takeJavascriptTurn(draft, action));
        }
      });
    case "repair":
      repair(draft, event);
      return accepted;
    case "outbox":
      if (event.failure !== undefined) recordFollowUpFailure(draft, event.failure);
      return accepted;
    default:
      return unreachable(event);
  }
}

/** Finds the action of a task; those of an older run, or of nothing at all, are stale. */
function applyTaskEvent(
  draft: Draft,
  taskId: string,
  then: (action: UserPlanAction, handout: number) => EventAnswer,
): EventAnswer {
  const task = parseTaskId(taskId);
  if (task === undefined || task.executionId !== draft.state.id) return stale;
  const index = draft.plan.byKey.get(task.actionKey);
  const action = index === undefined ? undefined : draft.plan.actions[index];
  if (action?.kind !== "user") return stale;
  return then(action, task.handout);
}

type SignalEvent = Extract<ExecutionEvent, { type: "signal" }>;

function applySignal(draft: Draft, event: SignalEvent): EventAnswer {
  const { status } = draft.state;
  if (isOpen(status)) return deliverSignal(draft, event.event, event.payload);
  return { type: "invalid-state", message: `The execution has ended: it is ${status}.` };
}

/** Finds the open script of a hand-out. */
function applyToScript(
  draft: Draft,
  handout: number,
  then: (action: JavascriptPlanAction, record: ActionRecord) => void,
): EventAnswer {
  for (const [index, record] of draft.records.entries()) {
    if (record?.handout !== handout || !isOpenRecord(record)) continue;
    const action = draft.plan.actions[index]!;
    if (action.kind !== "javascript") break;
    then(action, record);
    return accepted;
  }
  return stale;
}

function isOpenRecord({ status }: ActionRecord): boolean {
  return status === "RUNNING" || status === "WAITING";
}

type TimerEvent = Extract<ExecutionEvent, { type: "timer" }>;

/** A timer that nothing waits for any more is consumed all the same. */
function applyTimer(draft: Draft, event: TimerEvent): EventAnswer {
  const { state } = draft;
  if (event.claimId !== undefined) draft.consumeTimer(event.id, event.claimId);
  if (event.id === state.continueTimer) {
    // Without a claim the timer stays as a guard; `guardCut` drops it when all is done.
    if (event.claimId !== undefined) delete state.continueTimer;
    return accepted;
  }
  if (event.id === state.timeoutTimer) {
    applyExecutionTimeout(draft, event.id);
    return accepted;
  }
  const [kind, run, , key] = event.id.split(":");
  const index = key === undefined ? undefined : draft.plan.byKey.get(key);
  if (index === undefined || Number(run) !== state.run || !isOpen(state.status)) return accepted;
  const record = draft.record(index);
  if (!record.timers?.includes(event.id)) return accepted;
  applyActionTimer(draft, draft.plan.actions[index]!, kind!, event.id);
  return accepted;
}

function applyActionTimer(draft: Draft, action: PlanAction, kind: string, timer: string): void {
  if (kind === "total" && action.kind === "user") {
    applyTotalTimeout(draft, action, timer);
    return;
  }
  if (kind === "script" && action.kind === "javascript") {
    failIfTooLarge(draft, action, () => javascriptDue(draft, action));
    return;
  }
  const { timers, ...record } = draft.record(action.index);
  const rest = timers?.filter((other) => other !== timer) ?? [];
  draft.setRecord(action.index, { ...record, timers: rest });
  if (kind === "delay" && action.kind === "delay") endDelay(draft, action);
  else if (kind === "wait" && action.kind === "wait") timeOutWait(draft, action);
  else if (kind === "retry" && action.kind === "user") applyRetryDue(draft, action, timer);
}
