/** Requests as the scripts take them apart; the positions are described in the scripts' headers. */
import type { CommitRequest, CreateRequest, StoreEffects } from "../store.ts";
import { listMember } from "./keys.ts";
import { type Packable, pack } from "./pack.ts";

/** The fixed text of a task: what the store only keeps and gives back. */
export function taskText(task: { readonly header: string; readonly parameters: string }): string {
  return `${task.header.length}:${task.header}${task.parameters}`;
}

export function readTaskText(text: string): {
  readonly header: string;
  readonly parameters: string;
} {
  const colon = text.indexOf(":");
  const end = colon + 1 + Number(text.slice(0, colon));
  return { header: text.slice(colon + 1, end), parameters: text.slice(end) };
}

function flat<Item>(items: readonly Item[], parts: (item: Item) => readonly Packable[]): Packable {
  return items.length === 0 ? false : items.flatMap(parts);
}

function fieldsOf(data: ReadonlyMap<string, string | null>): Packable {
  if (data.size === 0) return false;
  const list: Packable[] = [];
  for (const [name, value] of data) list.push(name, value ?? false);
  return list;
}

function taskOf(task: StoreEffects["tasks"][number]): Packable {
  const { id, queue, priority, timeoutMs, heartbeatMs, queueTimeoutMs, lease } = task;
  const fixed = [id, queue, priority, timeoutMs, heartbeatMs, queueTimeoutMs, taskText(task)];
  if (lease === undefined) return [...fixed, false];
  return [...fixed, lease.token, lease.workerId, lease.leaseUntil, lease.deadline];
}

function effectsOf({ tasks, timers, messages, history }: StoreEffects): Packable {
  if (tasks.length + timers.length + messages.length + history.length === 0) return false;
  return [
    tasks.length === 0 ? false : tasks.map(taskOf),
    flat(timers, ({ id, at }) => [id, at]),
    flat(messages, ({ id, body }) => [id, body]),
    history.length === 0 ? false : history,
  ];
}

function orFalse<Item extends Packable>(items: readonly Item[]): Packable {
  return items.length === 0 ? false : items;
}

const holdCodes = { asBefore: 0, yes: 1, no: 2 } as const;

function holdCode(hold: boolean | undefined): number {
  if (hold === undefined) return holdCodes.asBefore;
  return hold ? holdCodes.yes : holdCodes.no;
}

export function encodeCommit(request: CommitRequest, base: number): Buffer {
  const { key, expected, commitId, now, status, endedAt, hold, state, effects } = request;
  const ended = endedAt ?? (false as const);
  return pack([
    ...[base, key.id, expected.revision, expected.commitId, commitId, now, status],
    ...[ended, holdCode(hold), state, fieldsOf(request.data)],
    flat(request.settle, ({ taskId, token }) => [taskId, token]),
    flat(request.expire, ({ taskId, token, until }) => [taskId, token ?? false, until]),
    flat(request.consumeTimers, ({ id, claimId }) => [id, claimId]),
    ...[orFalse(effects.dropTasks), orFalse(effects.dropTimers), effectsOf(effects)],
  ]);
}

export function encodeCreate(request: CreateRequest, base: number): Buffer {
  const { key, commitId, now, listing, requestHash, state, data, effects } = request;
  const { workflow, version, correlationId, startedAt, status, endedAt } = listing;
  const member = listMember(listing);
  const listed: Packable = [member, workflow, correlationId ?? false, version, startedAt];
  const fixed: Packable[] = [base, key.id, commitId, now, status];
  return pack([
    ...fixed,
    ...([endedAt ?? false, requestHash ?? false, listed] as const),
    ...[state, fieldsOf(data), effectsOf(effects)],
  ]);
}
