/**
 * Kinds that run as tasks: attempts offered to workers, retried by policy, bounded by timeouts. What
 * the store enforces by itself (leases, queue timeouts) comes back as an event.
 */
import { limits } from "../../base/limits.ts";
import { cutFailure } from "../../language/data/cut.ts";
import { structFault } from "../../language/data/struct-form.ts";
import type { PlanAction } from "../../language/kinds/table.ts";
import type { TaskPlanAction } from "../../language/kinds/task.ts";
import { retryDelayMs, taskUserRules } from "../../language/user-rules.ts";
import type { UserRules } from "../../model/definition.ts";
import type { EventAnswer } from "../../model/event.ts";
import type {
  ActionRecord,
  AttemptRecord,
  ExecutionState,
  Failure,
} from "../../model/execution.ts";
import { formatTaskId, jsonQueueKey, parseToken } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import { finishHeader } from "../../model/task-header.ts";
import type { Draft, Mutable } from "../decision/draft.ts";
import { completeAction, failAction } from "../decision/flow.ts";
import { withAttempt } from "./attempts.ts";
import { withNeeds } from "./common.ts";
import { randomOf } from "./random.ts";
import { type ActionRules, accepted, type EventOf, stale } from "./rules.ts";

type TaskAction = PlanAction & TaskPlanAction;

/** The rules of a kind that runs as tasks. `parametersOf` returns undefined after it has failed it. */
export function taskRules<Action extends TaskAction>(
  parametersOf: (draft: Draft, action: Action) => JsonText | undefined,
): ActionRules<Action> {
  const start = (draft: Draft, action: Action) => {
    const parameters = parametersOf(draft, action);
    if (parameters !== undefined) offer(draft, action, parameters);
  };
  return {
    start,
    timers: { retry: endBackoff, total: endTotalTime },
    events: {
      result: applyResult,
      "lease-expired": applyLeaseExpiry,
      "queue-timeout": applyQueueTimeout,
    },
    owns: (state, action, record) => ({ task: ownTask(state, action, record) }),
    /** The same attempt under a new hand-out: a worker that holds the lost one is fenced off. */
    replaceTask(draft, action) {
      const record = draft.record(action.index);
      draft.setRecord(action.index, { ...record, attempt: (record.attempt ?? 1) - 1 });
      withNeeds(draft, action, () => start(draft, action));
    },
  };
}

/** Between two attempts there is none. */
function ownTask(
  { id, run }: ExecutionState,
  { key: actionKey }: TaskPlanAction,
  { status, handout }: ActionRecord,
): string | undefined {
  if (status === "RETRYING" || handout === undefined) return undefined;
  return formatTaskId({ executionId: id, run, handout, actionKey });
}

/** The first attempt, or the next one after a backoff. */
function offer(draft: Draft, action: TaskAction, parameters: JsonText): void {
  const before = draft.record(action.index);
  const rules = rulesOf(draft, action);
  const handout = draft.nextHandout();
  const attempt = (before.attempt ?? 0) + 1;
  const { totalTimeoutMs } = rules;
  const isTimed = before.totalUntil === undefined && totalTimeoutMs > 0;
  const total = isTimed ? startTotalTimer(draft, action, handout, totalTimeoutMs) : {};
  const { correlationId, traceContext, traceState } = draft.state;
  const header = finishHeader(action.headerStart, {
    attempt,
    handout,
    offeredAt: draft.now,
    correlationId,
    traceContext,
    traceState,
  });
  draft.addTask({
    id: draft.taskId(action, handout),
    queue: queueOf(draft, action, { header, parameters }),
    priority: clampPriority(action.priority + draft.state.priority),
    timeoutMs: rules.timeoutMs,
    heartbeatMs: rules.heartbeatMs,
    queueTimeoutMs: rules.queueTimeoutMs,
    header,
    parameters,
  });
  draft.setRecord(action.index, {
    ...(before.status !== "PENDING" && earlierAttempts(before)),
    ...total,
    status: "SCHEDULED",
    startedAt: before.startedAt ?? draft.now,
    handout,
    attempt,
  });
  draft.log("action.scheduled", action, attempt);
}

/** Servers of format 2 hand out no task of the queue that is only for workers that take JSON. */
function queueOf(
  { format }: Draft,
  { queueKey }: TaskAction,
  texts: Parameters<typeof structFault>[0],
): string {
  const isForAll = format < 3 || structFault(texts) === undefined;
  return isForAll ? queueKey : jsonQueueKey(queueKey);
}

/** What stays of a record when its next attempt is due. */
function earlierAttempts({ dueAt: _dueAt, ...record }: ActionRecord): ActionRecord {
  return record;
}

function rulesOf(draft: Draft, action: TaskAction): UserRules {
  return taskUserRules(action, draft.registered);
}

/** The timer over all attempts is set with the first one. */
function startTotalTimer(
  draft: Draft,
  action: TaskAction,
  handout: number,
  totalTimeoutMs: number,
): Partial<ActionRecord> {
  const totalUntil = draft.now + totalTimeoutMs;
  const timer = draft.timerId("total", action, handout);
  draft.addTimer(timer, totalUntil);
  return { totalUntil, pausedMsThen: draft.state.pausedMs, timers: [timer] };
}

function clampPriority(priority: number): number {
  return Math.min(Math.max(priority, limits.priorityMin), limits.priorityMax);
}

/** A worker's word on the attempt with this hand-out. */
function applyResult(
  draft: Draft,
  action: TaskAction,
  result: EventOf<"result">,
  handout: number,
): EventAnswer {
  const record = draft.record(action.index);
  if (record.status !== "SCHEDULED" || record.handout !== handout) {
    return { type: wasSettledBy(record, handout, result.token) ? "duplicate" : "stale" };
  }
  draft.settle(result.taskId, result.token);
  const token = parseToken(result.token);
  const { outcome } = result;
  // Field by field, as spreading costs several times as much.
  const base: Mutable<AttemptRecord> = {
    number: record.attempt ?? 1,
    handout,
    endedAt: draft.now,
  };
  if (token !== undefined) {
    base.nonce = token.nonce;
    base.startedAt = token.leasedAt;
  }
  if (result.worker) base.worker = result.worker;
  if (outcome.ok) {
    const attempts = withAttempt(draft, action, base);
    completeAction(draft, action, { output: outcome.output, route: "default", attempts });
  } else {
    const attempt = { ...base, failure: outcome.failure };
    endAttempt(draft, action, attempt, outcome);
  }
  return accepted;
}

function wasSettledBy(record: ActionRecord, handout: number, token: string): boolean {
  const nonce = parseToken(token)?.nonce;
  return (record.attempts ?? []).some(
    (attempt) => attempt.handout === handout && attempt.nonce === nonce,
  );
}

/** The lease lapsed: silence, or the attempt took longer than it may. */
function applyLeaseExpiry(
  draft: Draft,
  action: TaskAction,
  expiry: EventOf<"lease-expired">,
  handout: number,
): EventAnswer {
  const record = draft.record(action.index);
  if (record.status !== "SCHEDULED" || record.handout !== handout) return stale;
  const token = parseToken(expiry.token);
  const failure: Failure = expiry.heartbeat
    ? { code: "HEARTBEAT_LOST", message: "The worker sent no heartbeat in time." }
    : { code: "TIMEOUT", message: "The attempt took longer than timeoutSeconds." };
  const attempt: AttemptRecord = {
    number: record.attempt ?? 1,
    handout,
    endedAt: draft.now,
    ...(token !== undefined && { startedAt: token.leasedAt }),
    ...(expiry.worker !== undefined && { worker: expiry.worker }),
    failure,
  };
  endAttempt(draft, action, attempt, { retryable: true });
  return accepted;
}

/** No worker took it in time. No attempt was made, so there is nothing to retry. */
function applyQueueTimeout(
  draft: Draft,
  action: TaskAction,
  _event: EventOf<"queue-timeout">,
  handout: number,
): EventAnswer {
  const record = draft.record(action.index);
  if (record.status !== "SCHEDULED" || record.handout !== handout) return stale;
  const message = "No worker took the task within queueTimeoutSeconds.";
  failAction(draft, action, { failure: { code: "QUEUE_TIMEOUT", message } });
  return accepted;
}

/** totalTimeoutSeconds is over; paused time does not count. */
function endTotalTime(draft: Draft, action: TaskAction, timer: string): void {
  const record = draft.record(action.index);
  const { state } = draft;
  const paused = state.pausedMs - (record.pausedMsThen ?? 0);
  const until = (record.totalUntil ?? 0) + paused;
  if (state.pausedAt !== undefined) {
    state.heldTimers = [...state.heldTimers, { id: timer, at: until }];
    return;
  }
  if (draft.now < until) {
    draft.addTimer(timer, until);
    return;
  }
  if (record.status === "SCHEDULED" && record.handout !== undefined) {
    draft.dropTask(draft.taskId(action, record.handout));
  }
  // Its backoff may be over as well: the attempt that is about to start must not.
  const place = draft.ready.indexOf(action.index);
  if (place >= 0) draft.ready.splice(place, 1);
  const message = "All attempts together took longer than totalTimeoutSeconds.";
  failAction(draft, action, { failure: { code: "TOTAL_TIMEOUT", message } });
}

/** An attempt failed: try again after a backoff, or the action has finally failed. */
function endAttempt(
  draft: Draft,
  action: TaskAction,
  attempt: AttemptRecord & { failure?: Failure },
  { retryable, retryAfterMs = 0 }: { readonly retryable: boolean; readonly retryAfterMs?: number },
): void {
  const record = draft.record(action.index);
  const failure = cutFailure(attempt.failure!);
  const rules = rulesOf(draft, action);
  const attempts = withAttempt(draft, action, { ...attempt, failure });
  const again =
    retryable && attempt.number <= rules.retryCount && !rules.nonRetryable.includes(failure.code);
  if (!again) {
    failAction(draft, action, { failure, attempts });
    return;
  }
  const random = randomOf(draft.state.seed, attempt.handout);
  const delayMs = Math.round(retryDelayMs(rules, attempt.number, random));
  const at = draft.now + Math.max(delayMs, Math.min(retryAfterMs, rules.maxRetryAfterMs));
  const timer = draft.timerId("retry", action, attempt.handout);
  draft.addTimer(timer, at);
  const dropped = draft.record(action.index).attemptsDropped;
  draft.setRecord(action.index, {
    ...record,
    status: "RETRYING",
    attempts,
    ...(dropped !== undefined && { attemptsDropped: dropped }),
    timers: [...(record.timers ?? []), timer],
    dueAt: at,
  });
  const details = JSON.stringify({ error: failure, retryAt: at });
  draft.log("attempt.failed", action, attempt.number, details);
}

/** The backoff is over. A pause in the meantime holds the attempt back in the row. */
function endBackoff(draft: Draft, action: TaskAction, timer: string): void {
  const record = draft.record(action.index);
  draft.spendTimer(action, timer);
  if (record.status === "RETRYING") draft.ready.push(action.index);
}
