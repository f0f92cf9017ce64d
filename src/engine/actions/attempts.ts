/**
 * Attempts: offered to workers as tasks, retried by policy, bounded by timeouts. What they are made at
 * is an action, or one item of a map. What the store enforces by itself (leases, queue timeouts) comes
 * back as an event.
 */
import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import { cutFailure } from "../../language/data/cut.ts";
import { structFault } from "../../language/data/struct-form.ts";
import type { TaskPlanAction } from "../../language/kinds/task.ts";
import { retryDelayMs, taskUserRules } from "../../language/user-rules.ts";
import type { UserRules } from "../../model/definition.ts";
import type { EventAnswer } from "../../model/event.ts";
import type { ActionRecord, AttemptRecord, Failure } from "../../model/execution.ts";
import { jsonQueueKey, parseToken } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import type { TicketMessage } from "../../model/message.ts";
import { finishHeader } from "../../model/task-header.ts";
import type { Draft, Mutable } from "../decision/draft.ts";
import type { KeptAttempts } from "./kept-attempts.ts";
import { randomOf } from "./random.ts";
import { accepted, type EventOf, stale } from "./rules.ts";

/** What is tried again when an attempt has failed. */
export interface Repeated {
  readonly draft: Draft;
  readonly task: Pick<TaskPlanAction, "key">;
  /** The index of an item, from 0. */
  readonly item: number | undefined;
  readonly record: ActionRecord;
  setRecord(record: ActionRecord): void;
  /** What its record keeps of its attempts with one more. */
  withAttempt(attempt: AttemptRecord): KeptAttempts;
  log(kind: string, attempt: number | undefined, details?: JsonText): void;
  fail(failure: Failure, kept?: KeptAttempts): void;
}

/** What attempts are made at by workers. */
export interface Subject extends Repeated {
  readonly task: TaskPlanAction;
  complete(output: JsonText, kept: KeptAttempts): void;
}

/** What a worker is given. */
interface Offered {
  readonly parameters: JsonText;
  /** See HeaderRest in model/task-header.ts. */
  readonly item?: JsonText | undefined;
}

/** The first attempt, or the next one after a backoff. */
export function offer(subject: Subject, { parameters, item }: Offered): void {
  const { draft, task, record: before } = subject;
  const rules = rulesOf(subject);
  const handout = draft.nextHandout();
  const attempt = (before.attempt ?? 0) + 1;
  const { totalTimeoutMs } = rules;
  const isTimed = before.totalUntil === undefined && totalTimeoutMs > 0;
  const total = isTimed ? startTotalTimer(subject, handout, totalTimeoutMs) : {};
  const { correlationId, traceContext, traceState, parent } = draft.state;
  const header = finishHeader(task.headerStart, {
    attempt,
    handout,
    offeredAt: draft.now,
    correlationId,
    traceContext,
    traceState,
    index: subject.item,
    item,
    parent,
  });
  const taskId = draft.taskId(task, handout, subject.item);
  draft.addTask({
    id: taskId,
    queue: queueOf(subject, { header, parameters }),
    priority: clampPriority(task.priority + draft.state.priority),
    timeoutMs: rules.timeoutMs,
    heartbeatMs: rules.heartbeatMs,
    queueTimeoutMs: rules.queueTimeoutMs,
    header,
    parameters,
  });
  if (rules.deliver !== undefined) {
    const ticket: TicketMessage = { type: "ticket", taskId, to: rules.deliver.to };
    draft.addMessage(`ticket:${handout}`, JSON.stringify(ticket));
  }
  subject.setRecord({
    ...(before.dueAt === undefined ? before : earlierAttempts(before)),
    ...total,
    status: "SCHEDULED",
    startedAt: before.startedAt ?? draft.now,
    handout,
    attempt,
  });
  subject.log("action.scheduled", attempt);
}

/** Servers of format 2 hand out no task of the queue that is only for workers that take JSON. */
function queueOf(
  { draft, task: { queueKey } }: Subject,
  texts: Parameters<typeof structFault>[0],
): string {
  const isForAll = draft.format < 3 || structFault(texts) === undefined;
  return isForAll ? queueKey : jsonQueueKey(queueKey);
}

/** What stays of a record when its next attempt is due. */
function earlierAttempts({ dueAt: _dueAt, ...record }: ActionRecord): ActionRecord {
  return record;
}

function rulesOf({ draft, task }: Subject): UserRules {
  return taskUserRules(task, draft.registered);
}

/** The timer over all attempts is set with the first one. */
function startTotalTimer(
  { draft, task, item }: Subject,
  handout: number,
  totalTimeoutMs: number,
): Partial<ActionRecord> {
  const totalUntil = draft.now + totalTimeoutMs;
  const timer = draft.timerId("total", task, handout, item);
  draft.addTimer(timer, totalUntil);
  return { totalUntil, pausedMsThen: draft.state.pausedMs, timers: [timer] };
}

function clampPriority(priority: number): number {
  return Math.min(Math.max(priority, limits.priorityMin), limits.priorityMax);
}

/** A worker's word on the attempt with this hand-out. */
export function applyResult(
  subject: Subject,
  result: EventOf<"result">,
  handout: number,
): EventAnswer {
  const { draft, record } = subject;
  if (record.status !== "SCHEDULED" || record.handout !== handout) {
    return lateResult(record, result, handout);
  }
  if (result.asks) return stale;
  draft.settle(result.taskId, result.token);
  const { outcome } = result;
  // Field by field, as spreading costs several times as much.
  const attempt: Mutable<AttemptRecord> = {
    number: record.attempt ?? 1,
    handout,
    endedAt: draft.now,
  };
  if (result.token === null) {
    attempt.nonce = byTicket;
  } else {
    const token = parseToken(result.token);
    if (token !== undefined) {
      attempt.nonce = token.nonce;
      attempt.startedAt = token.leasedAt;
    }
  }
  if (result.worker) attempt.worker = result.worker;
  if (outcome.ok) {
    subject.complete(outcome.output, subject.withAttempt(attempt));
  } else {
    const rules = rulesOf(subject);
    endAttempt(subject, { ...attempt, failure: outcome.failure }, { ...outcome, rules });
  }
  return accepted;
}

/** A result for a task that nobody holds any more: the repeat of one that counted, or stale. */
export function lateResult(
  record: ActionRecord,
  { token }: EventOf<"result">,
  handout: number,
): EventAnswer {
  return wasSettledBy(record, handout, token) ? { type: "duplicate" } : stale;
}

/** Instead of the nonce of a lease: a result that came with a ticket alone has ended the attempt. */
const byTicket = "ticket";

/** By this token; or by any worker, for a holder of the ticket. */
function wasSettledBy(record: ActionRecord, handout: number, token: string | null): boolean {
  const nonce = token === null ? undefined : parseToken(token)?.nonce;
  return (record.attempts ?? []).some((attempt) => {
    if (attempt.handout !== handout) return false;
    return token === null ? attempt.nonce !== undefined : attempt.nonce === nonce;
  });
}

/** The lease lapsed: silence, or the attempt took longer than it may. */
export function applyLeaseExpiry(
  subject: Subject,
  expiry: EventOf<"lease-expired">,
  handout: number,
): EventAnswer {
  const { draft, record } = subject;
  if (record.status !== "SCHEDULED" || record.handout !== handout) return stale;
  const token = parseToken(expiry.token);
  const failure: Failure = expiry.heartbeat
    ? { code: "HEARTBEAT_LOST", message: "The worker sent no heartbeat in time." }
    : { code: "TIMEOUT", message: "The attempt took longer than timeoutSeconds." };
  const attempt = {
    number: record.attempt ?? 1,
    handout,
    endedAt: draft.now,
    ...defined({ startedAt: token?.leasedAt, worker: expiry.worker }),
    failure,
  };
  endAttempt(subject, attempt, { retryable: true, rules: rulesOf(subject) });
  return accepted;
}

/** No worker took it in time. No attempt was made, so there is nothing to retry. */
export function applyQueueTimeout(subject: Subject, handout: number): EventAnswer {
  const { record } = subject;
  if (record.status !== "SCHEDULED" || record.handout !== handout) return stale;
  const message = "No worker took the task within queueTimeoutSeconds.";
  subject.fail({ code: "QUEUE_TIMEOUT", message });
  return accepted;
}

/** totalTimeoutSeconds is over; paused time does not count. */
export function endTotalTime(subject: Subject, timer: string): void {
  const { draft, task, item, record } = subject;
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
    draft.dropTask(draft.taskId(task, record.handout, item));
  }
  const message = "All attempts together took longer than totalTimeoutSeconds.";
  subject.fail({ code: "TOTAL_TIMEOUT", message });
}

interface AttemptEnd {
  readonly rules: UserRules;
  readonly retryable: boolean;
  /** The next attempt should not begin earlier, as far as the rules let it. */
  readonly retryAfterMs?: number;
}

/** An attempt failed: try again after a backoff, or it has finally failed. */
export function endAttempt(
  subject: Repeated,
  attempt: AttemptRecord & { readonly failure: Failure },
  { rules, retryable, retryAfterMs = 0 }: AttemptEnd,
): void {
  const { draft, record } = subject;
  const failure = cutFailure(attempt.failure);
  const kept = subject.withAttempt({ ...attempt, failure });
  const again =
    retryable && attempt.number <= rules.retryCount && !rules.nonRetryable.includes(failure.code);
  if (!again) {
    subject.fail(failure, kept);
    return;
  }
  const random = randomOf(draft.state.seed, attempt.handout);
  const delayMs = Math.round(retryDelayMs(rules, attempt.number, random));
  const at = draft.now + Math.max(delayMs, Math.min(retryAfterMs, rules.maxRetryAfterMs));
  const timer = draft.timerId("retry", subject.task, attempt.handout, subject.item);
  draft.addTimer(timer, at);
  subject.setRecord({
    ...record,
    ...kept,
    status: "RETRYING",
    timers: [...(record.timers ?? []), timer],
    dueAt: at,
  });
  const details = JSON.stringify({ error: failure, retryAt: at });
  subject.log("attempt.failed", attempt.number, details);
}
