/**
 * The engine: `decide` takes an execution and what happened to it, and returns what follows. It is
 * pure and synchronous: no IO, no clock, no chance but the execution's own seed. It is the only
 * place that knows the rules of workflows; actions/ holds those of each kind, decision/ what all
 * of them work with.
 */
import { defined } from "../base/defined.ts";
import { unreachable } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { PlanAction } from "../language/kinds/table.ts";
import type { ChildBeginning } from "../model/child.ts";
import type { Decision, NeedData } from "../model/decision.ts";
import type { EventAnswer, ExecutionEvent } from "../model/event.ts";
import type { Execution, ExecutionState } from "../model/execution.ts";
import { isOpen, runOfIds } from "../model/execution.ts";
import { fields, parseTaskId } from "../model/ids.ts";
import type { JsonText } from "../model/json.ts";
import { runEndedWith } from "../model/message.ts";
import { type ActionTimer, formatTimer, parseTimer } from "../model/timer.ts";
import {
  type ActionEvent,
  accepted,
  type EventOf,
  type EventRule,
  stale,
} from "./actions/rules.ts";
import { startAction } from "./actions/start.ts";
import { rulesOf } from "./actions/table.ts";
import { causeFields, once } from "./causes.ts";
import { close, closeLeft } from "./close.ts";
import { MissingData } from "./decision/data.ts";
import { Draft } from "./decision/draft.ts";
import { propagate } from "./decision/edges.ts";
import {
  completeExecution,
  endExecution,
  recordFollowUpFailure,
  repeatEnd,
} from "./decision/end.ts";
import { makeReady } from "./decision/flow.ts";
import type { Surroundings } from "./decision/surroundings.ts";
import { beginFork, type Fork } from "./fork.ts";
import { applyOperation, isApplicable } from "./operations/apply.ts";
import { restoreHeldTimers } from "./operations/resume.ts";
import { applyResumedChild } from "./operations/resumed-child.ts";
import { repair } from "./repair.ts";
import { applySignal } from "./signals.ts";
import { recordChunksMax } from "./stored/codec.ts";
import { applyExecutionTimeout } from "./timeout.ts";

/** Records of larger workflows in one chunk beside the state, at least. */
const largeChunkActions = 16;

/** A new execution: its id, version and input, and what its parent or caller passes on. */
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
  /** Of a child: whose it is. */
  readonly child?: ChildBeginning;
  /** It is a child that its parent has ended before it was there: why. */
  readonly cancelled?: string;
  /** It runs an inline definition: see `ExecutionState.inline`. */
  readonly inline?: readonly string[];
  /** It goes on from before an action of another execution. */
  readonly fork?: Fork;
  /** What was looked up for its first actions; see `fields.version`. */
  readonly lookups?: ReadonlyMap<string, JsonText>;
}

/** The first decision of a new execution: its roots start. */
export function begin(beginning: Beginning): Decision | NeedData {
  return orNeed(() => firstDecision(beginning));
}

function firstDecision(beginning: Beginning): Decision {
  const { plan, now, input, cancelled, lookups = new Map() } = beginning;
  const empty: Execution = { state: firstState(beginning), records: [], data: lookups };
  const draft = new Draft(empty, beginning);
  draft.write(fields.input, input);
  const { state } = draft;
  draft.log("execution.started", undefined, undefined, `{"version":${plan.version}}`);
  if (plan.timeoutMs !== undefined) {
    state.timeoutAt = now + plan.timeoutMs;
    state.timeoutTimer = formatTimer({ kind: "timeout", run: state.run });
    draft.addTimer(state.timeoutTimer, state.timeoutAt);
  }
  if (beginning.signal !== undefined) {
    applySignal(draft, { type: "signal", ...beginning.signal });
  }
  if (cancelled !== undefined) {
    endExecution(draft, { status: "CANCELLED", reason: cancelled, byParent: true });
  } else if (beginning.fork !== undefined) beginFork(draft, beginning.fork);
  else for (const root of plan.roots) makeReady(draft, root);
  return proceed(draft);
}

/** When data must be loaded first, returns which. */
function orNeed(run: () => Decision): Decision | NeedData {
  try {
    return run();
  } catch (error) {
    if (error instanceof MissingData) return { need: error.need };
    throw error;
  }
}

function firstState(beginning: Beginning): ExecutionState {
  const { plan, now } = beginning;
  const isLarge = plan.actions.length > limits.recordChunkActions;
  const inSmallChunks = isLarge && beginning.format >= 3;
  const smallChunk = Math.max(largeChunkActions, Math.ceil(plan.actions.length / recordChunksMax));
  const chunkActions = inSmallChunks ? smallChunk : limits.recordChunkActions;
  const recordChunks = Math.ceil(plan.actions.length / chunkActions);
  return {
    ...(recordChunks > 1 && { recordChunks }),
    ...(inSmallChunks && { chunkActions }),
    id: beginning.id,
    ...(beginning.generatedId === true && { generatedId: true }),
    workflow: plan.workflow,
    version: plan.version,
    ...defined({
      correlationId: beginning.correlationId,
      traceContext: beginning.traceContext,
      traceState: beginning.traceState,
    }),
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
    ...(beginning.format >= 4 && { failuresTravel: true }),
    depth: beginning.depth ?? 0,
    ...defined({ inline: beginning.inline }),
    ...beginning.child,
  };
}

/**
 * What follows from these events, in order. When data must be loaded first, returns its fields;
 * when a bound of one commit is reached, returns fewer answers than events, and `more`.
 */
export function decide(
  execution: Execution,
  events: readonly ExecutionEvent[],
  surroundings: Surroundings,
): Decision | NeedData {
  return orNeed(() => {
    // All at once: each would otherwise be missed by a decision of its own.
    const missing = causeFields(events).filter((name) => !execution.data.has(name));
    if (missing.length > 0) throw new MissingData(missing);
    const draft = new Draft(execution, surroundings);
    for (const event of events) {
      if (!draft.hasRoom() || !isApplicable(draft, event)) break;
      draft.answers.push(apply(draft, event));
      propagate(draft);
    }
    return proceed(draft);
  });
}

/** Starts what may start and ends what has ended, as far as one commit goes. */
function proceed(draft: Draft): Decision {
  const { state, plan } = draft;
  propagate(draft);
  restoreHeldTimers(draft);
  const isFree = closeLeft(draft);
  while (isFree && state.status === "RUNNING" && draft.ready.length > 0 && draft.hasRoomToStart()) {
    const action = plan.actions[draft.ready.shift()!]!;
    draft.forgetEdges(action.index);
    startAction(draft, action);
    propagate(draft);
  }
  if (state.status === "RUNNING" && state.open === 0 && draft.hasWorkLeft())
    completeExecution(draft);
  close(draft);
  return draft.finish(guardCut(draft));
}

/** What one commit could not hold is continued by a timer due now, on any live server. */
function guardCut(draft: Draft): boolean {
  const { state } = draft;
  const running = state.status === "RUNNING";
  const cut =
    draft.closing.length > 0 ||
    (running && (draft.ready.length > 0 || state.heldTimers.length > 0 || state.open === 0));
  if (cut && state.continueTimer === undefined) {
    state.continueTimer = formatTimer({ kind: "continue", handout: draft.nextHandout() });
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
      return applyToTask(draft, event);
    case "lease-expired":
      draft.expire(event.taskId, event.token, event.leaseUntil);
      return applyToTask(draft, event);
    case "queue-timeout":
      draft.expire(event.taskId, null, event.queueUntil);
      return applyToTask(draft, event);
    case "script":
    case "script-turn":
    case "signal-sent":
      return applyToOpen(draft, event);
    case "timer":
      return applyTimer(draft, event);
    case "continue":
      return accepted;
    case "signal":
      return once(draft, event.cause, () => applySignal(draft, event));
    case "operation":
      return once(draft, event.cause, () => applyOperation(draft, event));
    case "child-ended":
    case "child-lost":
      return applyToParent(draft, event);
    case "child-resumed":
      return applyResumedChild(draft, event);
    case "parent-ended":
      endExecution(draft, { status: "CANCELLED", reason: event.reason, byParent: true });
      return accepted;
    case "parent-asks":
      repeatEnd(draft);
      return accepted;
    case "repair":
      repair(draft, event);
      return accepted;
    case "outbox":
      // What an earlier run has sent says nothing about the end of this one.
      if (event.failure !== undefined && runEndedWith(event.id) === draft.state.run) {
        recordFollowUpFailure(draft, event.failure);
      }
      return accepted;
    default:
      return unreachable(event);
  }
}

/** Finds the action of a task; those of an older run, or of nothing at all, are stale. */
function applyToTask(
  draft: Draft,
  event: EventOf<"result" | "lease-expired" | "queue-timeout">,
): EventAnswer {
  const task = parseTaskId(event.taskId);
  if (task === undefined || task.executionId !== draft.state.id) return stale;
  const index = draft.plan.byKey.get(task.actionKey);
  if (index === undefined) return stale;
  return applyToAction(draft, draft.plan.actions[index]!, event, task.handout);
}

/** Finds the action whose child it is about; the id of the parent may be that of an earlier one. */
function applyToParent(draft: Draft, event: EventOf<"child-ended" | "child-lost">): EventAnswer {
  const { action, handout, startedAt } = event.parent;
  const index = draft.plan.byKey.get(action);
  const { state } = draft;
  if (index === undefined || startedAt !== state.startedAt || !isOpen(state.status)) return stale;
  return applyToAction(draft, draft.plan.actions[index]!, event, handout);
}

/** Finds the action that is open under a hand-out. */
function applyToOpen(
  draft: Draft,
  event: EventOf<"script" | "script-turn" | "signal-sent">,
): EventAnswer {
  for (const [index, record] of draft.records.entries()) {
    if (record?.handout !== event.handout) continue;
    if (record.status !== "RUNNING" && record.status !== "WAITING") continue;
    return applyToAction(draft, draft.plan.actions[index]!, event, event.handout);
  }
  return stale;
}

/** A kind that has no rule for the event knows nothing of what it is about. */
function applyToAction(
  draft: Draft,
  action: PlanAction,
  event: ActionEvent,
  handout: number,
): EventAnswer {
  const rule = rulesOf(action).events?.[event.type] as EventRule<ActionEvent> | undefined;
  return rule?.(draft, action, event, handout) ?? stale;
}

/** A timer that nothing waits for any more is consumed all the same. */
function applyTimer(draft: Draft, event: EventOf<"timer">): EventAnswer {
  const { state } = draft;
  draft.consumeTimer(event.id, event.claimId);
  const timer = parseTimer(event.id);
  if (timer === undefined) return accepted;
  switch (timer.kind) {
    case "retention":
      break;
    case "continue":
      if (event.id === state.continueTimer) delete state.continueTimer;
      break;
    case "timeout":
      applyExecutionTimeout(draft, event.id);
      break;
    default:
      applyActionTimer(draft, timer, event.id);
  }
  return accepted;
}

function applyActionTimer(draft: Draft, timer: ActionTimer, id: string): void {
  const { kind, run, actionKey, item } = timer;
  const { state, plan } = draft;
  const index = plan.byKey.get(actionKey);
  if (index === undefined || run !== runOfIds(state) || !isOpen(state.status)) return;
  const { status, timers } = draft.record(index);
  // An action that lost a race may still own what there was no room to drop.
  if (status === "CANCELLED") return;
  // Those of items are in records of their own.
  if (item === undefined && !timers?.includes(id)) return;
  const action = plan.actions[index]!;
  rulesOf(action).timers?.[kind]?.(draft, action, id);
}
