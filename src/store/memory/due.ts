/** What the memory store hands out by time: timers, ends of leases and queue waits, and messages. */
import { compareText, type RecentClaims } from "../rules.ts";
import type {
  ClaimDueAnswer,
  ClaimDueRequest,
  DueItem,
  OutboxMessage,
  TimerPlace,
} from "../store.ts";
import type { MemoryMessage, MemoryPartition, MemoryTask, MemoryTimer } from "./records.ts";

type Due = MemoryTask | MemoryTimer;

export function dueItem(item: Due): DueItem {
  const key = item.execution.key;
  if (item.kind === "timer") return { kind: "timer", key, id: item.id, at: item.at };
  const until = item.until as number;
  if (item.state === "queued" || item.lease === undefined) {
    return { kind: "queue", key, taskId: item.id, queueUntil: until };
  }
  const { token, workerId, deadline } = item.lease;
  return { kind: "lease", key, taskId: item.id, token, workerId, leaseUntil: until, deadline };
}

function withNextDue<Answer>(answer: Answer, next: number | null | undefined) {
  return next === null || next === undefined ? answer : { ...answer, nextDue: next };
}

export function claimDue(
  partition: MemoryPartition,
  claims: RecentClaims<Due>,
  request: ClaimDueRequest,
): ClaimDueAnswer {
  const { claimId, limit, hideMs, now } = request;
  for (const task of partition.dropped) {
    if ((task.until as number) < now) partition.deleteTask(task);
  }
  const earlier = claims
    .recall(request.partition, claimId)
    .filter((item) => item.claimId === claimId && partition.due.has(item));
  if (earlier.length > 0) {
    const next = partition.due.peek(earlier.length + 1).find((item) => item.claimId !== claimId);
    return withNextDue({ items: earlier.map(dueItem) }, next?.due);
  }
  const first = partition.due.peek(limit + 1);
  const given = first.slice(0, limit).filter((item) => (item.due as number) <= now);
  const next = first[given.length];
  const answer = withNextDue({ items: given.map(dueItem) }, next?.due);
  for (const item of given) {
    partition.due.delete(item);
    item.due = now + hideMs;
    item.claimId = claimId;
    partition.due.add(item);
  }
  claims.remember(request.partition, claimId, given);
  return answer;
}

export function listTimers(
  partition: MemoryPartition,
  request: { readonly after?: TimerPlace; readonly limit: number },
): TimerPlace[] {
  const { after, limit } = request;
  return [...partition.executions.values()]
    .flatMap((execution) => [...execution.timers.values()])
    .map(({ execution, id, due }) => ({ key: execution.key, id, due: due as number }))
    .filter((timer) => after === undefined || compareTimers(timer, after) > 0)
    .sort(compareTimers)
    .slice(0, limit);
}

function compareTimers(a: TimerPlace, b: TimerPlace): number {
  return a.due - b.due || compareText(a.key.id, b.key.id) || compareText(a.id, b.id);
}

function outboxMessage(message: MemoryMessage): OutboxMessage {
  const { id, body, deliveries } = message;
  return { key: message.execution.key, id, body, deliveries };
}

/** In order per source: a message waits until what its source sent before it is out of hiding. */
export function claimOutbox(
  partition: MemoryPartition,
  claims: RecentClaims<MemoryMessage>,
  request: ClaimDueRequest,
): { readonly messages: readonly OutboxMessage[]; readonly nextDue?: number } {
  const { claimId, hideMs, now } = request;
  const earlier = claims
    .recall(request.partition, claimId)
    .filter((message) => message.claimId === claimId && partition.messages.has(message));
  const limit = earlier.length > 0 ? 0 : request.limit;
  const blocked = new Set<unknown>();
  const given: MemoryMessage[] = [];
  let next: number | undefined;
  for (const message of partition.messages) {
    if (earlier.includes(message) || blocked.has(message.execution)) continue;
    if (message.visibleAt <= now && given.length < limit) {
      given.push(message);
      continue;
    }
    next = Math.min(next ?? message.visibleAt, message.visibleAt);
    if (message.visibleAt <= now) break;
    blocked.add(message.execution);
  }
  for (const message of given) {
    message.deliveries++;
    message.visibleAt = now + hideMs;
    message.claimId = claimId;
  }
  claims.remember(request.partition, claimId, given);
  return withNextDue({ messages: [...earlier, ...given].map(outboxMessage) }, next);
}
