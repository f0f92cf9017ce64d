/** What the memory store hands out by time: timers, ends of leases and queue waits, and messages. */
import type { RecentClaims } from "../kit/claims.ts";
import { dueTask, withNextDue } from "../kit/due.ts";
import { compareTimers } from "../kit/order.ts";
import { claimableMessages } from "../kit/outbox.ts";
import { isForgotten } from "../kit/task-life.ts";
import type {
  ClaimDueAnswer,
  ClaimDueRequest,
  ClaimOutboxAnswer,
  DueItem,
  ListTimersRequest,
  OutboxMessage,
  TimerPlace,
} from "../store.ts";
import type { MemoryMessage, MemoryPartition, MemoryTask, MemoryTimer } from "./records.ts";

type Due = MemoryTask | MemoryTimer;

function dueItem(item: Due): DueItem {
  const { key } = item.execution;
  if (item.kind === "timer") return { kind: "timer", key, id: item.id, at: item.at };
  return dueTask(key, item.id, item.row);
}

export function claimDue(
  partition: MemoryPartition,
  claims: RecentClaims<Due>,
  request: ClaimDueRequest,
): ClaimDueAnswer {
  const { claimId, limit, hideMs, now } = request;
  for (const task of partition.dropped) {
    if (isForgotten(task.row, now)) partition.deleteTask(task);
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
  { after, limit }: ListTimersRequest,
): TimerPlace[] {
  return [...partition.executions.values()]
    .flatMap((execution) => [...execution.timers.values()])
    .map(({ execution, id, due }) => ({ key: execution.key, id, due: due as number }))
    .filter((timer) => after === undefined || compareTimers(timer, after) > 0)
    .sort(compareTimers)
    .slice(0, limit);
}

function outboxMessage(message: MemoryMessage): OutboxMessage {
  const { id, body, deliveries } = message;
  return { key: message.execution.key, id, body, deliveries };
}

export function claimOutbox(
  partition: MemoryPartition,
  claims: RecentClaims<MemoryMessage>,
  request: ClaimDueRequest,
): ClaimOutboxAnswer {
  const { claimId, hideMs, now } = request;
  const earlier = claims
    .recall(request.partition, claimId)
    .filter((message) => message.claimId === claimId && partition.messages.has(message));
  const limit = earlier.length > 0 ? 0 : request.limit;
  const isGiven = (message: MemoryMessage) => earlier.includes(message);
  const options = { limit, now, isGiven };
  const { claimable, nextDue } = claimableMessages(partition.messages, options);
  for (const message of claimable) {
    message.deliveries++;
    message.visibleAt = now + hideMs;
    message.claimId = claimId;
  }
  claims.remember(request.partition, claimId, claimable);
  return withNextDue({ messages: [...earlier, ...claimable].map(outboxMessage) }, nextDue);
}
