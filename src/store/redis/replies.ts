/** Reads the answers of the scripts into the types of the contract. */
import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import { withNextDue } from "../kit/due.ts";
import { storedTask } from "../kit/task-life.ts";
import type * as contract from "../store.ts";
import type { EntryAnswer } from "./batch.ts";
import { readTaskText } from "./requests.ts";
import { wholeTaskId, wholeToken } from "./short-ids.ts";

/** What RESP carries. */
export type Reply = string | number | null | readonly Reply[];

function head(revision: unknown, commitId: unknown): contract.Head {
  return { revision: revision as number, commitId: commitId as string };
}

function wholeTaskIds(executionId: string, stored: unknown): string[] {
  return (stored as string[]).map((id) => wholeTaskId(executionId, id));
}

/** The status, and when it ended: see scripts/lib/executions.lua. */
export function readStatus(stored: Reply): {
  status: contract.Listing["status"];
  endedAt?: number;
} {
  const [status, endedAt] = (stored as string).split(" ") as [contract.Listing["status"], string?];
  return { status, ...defined({ endedAt: endedAt === undefined ? undefined : Number(endedAt) }) };
}

function unexpected(outcome: unknown): Error {
  return new Error(`The Redis store does not know the outcome ${outcome}.`);
}

export function readCommit(
  { key, commitId, expected }: contract.CommitRequest,
  answer: EntryAnswer,
): contract.CommitAnswer {
  if (typeof answer === "number") {
    return { outcome: "committed", head: head(expected.revision + 1, commitId) };
  }
  const [outcome, first, second] = answer;
  switch (outcome) {
    case "conflict":
      return { outcome, head: head(first, second) };
    case "already":
      return { outcome: "already_committed", head: head(first, second) };
    case "stale":
      return { outcome, tasks: wholeTaskIds(key.id, first), timers: second as string[] };
    case "not_found":
      return { outcome };
    default:
      throw unexpected(outcome);
  }
}

export function readCreate(answer: EntryAnswer, commitId: string): contract.CreateAnswer {
  if (typeof answer === "number") return { outcome: "created", head: head(1, commitId) };
  const [outcome, revision, latest, status, requestHash] = answer;
  switch (outcome) {
    case "exists":
      return {
        outcome,
        head: head(revision, latest),
        status: readStatus(status as Reply).status,
        ...defined({ requestHash: (requestHash as string | null) ?? undefined }),
      };
    case "tombstone":
      return { outcome, ...keptStart(revision as Reply, latest as Reply) };
    default:
      throw unexpected(outcome);
  }
}

/** What the fields q and s of a tombstone hold; both may be missing. */
function keptStart(requestHash: Reply, status: Reply): { kept?: contract.KeptStart } {
  if (requestHash === null || status === null) return {};
  const hash = (requestHash as string).slice(0, limits.keptHashChars);
  return { kept: { requestHash: hash, ...readStatus(status) } };
}

/** A flat list of names and values. */
function readPairs(list: readonly string[]): Map<string, string> {
  const pairs = new Map<string, string>();
  for (let i = 0; i < list.length; i += 2) pairs.set(list[i] as string, list[i + 1] as string);
  return pairs;
}

export function readLoad(reply: Reply): contract.LoadAnswer {
  const [outcome, revision, commits, status, held, state, data] = reply as readonly [
    "loaded" | "not_found" | "tombstone",
    ...Reply[],
  ];
  if (outcome !== "loaded") return { outcome };
  const recentCommitIds = commits as readonly string[];
  return {
    outcome,
    head: head(revision, recentCommitIds.at(-1)),
    // Of those before a restoration the dump may not have known all.
    recentCommitIds: recentCommitIds.filter((id) => id !== ""),
    status: readStatus(status as string).status,
    held: held === 1,
    state: state as string,
    data: readPairs(data as string[]),
  };
}

function readTask(partition: number, reply: Reply): contract.LeasedTask {
  const [id, storedId, queue, storedToken, leasedAt, leaseUntil, deadline, heartbeatMs, text] =
    reply as readonly [
      ...[string, string, string, string],
      ...[number, number, number, number],
      string,
    ];
  const taskId = wholeTaskId(id, storedId);
  const token = wholeToken(taskId, storedToken);
  return {
    key: { partition, id },
    id: taskId,
    queue,
    token,
    leasedAt,
    leaseUntil,
    deadline,
    heartbeatMs,
    ...readTaskText(text),
  };
}

export function readTicket(partition: number, reply: Reply): contract.ClaimTaskAnswer {
  const [outcome, given] = reply as readonly [contract.ClaimTaskAnswer["outcome"], Reply];
  if (outcome === "claimed") return { outcome, task: readTask(partition, given) };
  return outcome === "leased" ? { outcome, leaseUntil: given as number } : { outcome };
}

export function readStoredTask(reply: Reply): contract.StoredTask | undefined {
  if (reply === null) return undefined;
  const [state, until, queue, timeoutMs, text] = reply as readonly [
    ...["Q" | "L", number | null],
    ...[string, number, string],
  ];
  const terms = { queue, timeoutMs, ...readTaskText(text) };
  return storedTask({ state: state === "Q" ? "queued" : "leased", until }, terms);
}

export function readClaim(partition: number, reply: Reply): contract.ClaimTasksAnswer {
  const [tasks, more] = reply as readonly [readonly Reply[], readonly string[]];
  return { tasks: tasks.map((task) => readTask(partition, task)), more };
}

export function readExtension(until: number): contract.ExtendAnswer {
  if (until > 0) return { outcome: "extended", leaseUntil: until };
  return { outcome: until < 0 ? "cancelled" : "stale" };
}

function readDueItem(partition: number, reply: Reply): contract.DueItem {
  const [kind, id, name, ...rest] = reply as readonly [string, string, string, ...Reply[]];
  const key: ExecutionKey = { partition, id };
  if (kind === "timer") return { kind, key, id: name, at: rest[0] as number };
  const taskId = wholeTaskId(id, name);
  if (kind === "queue") return { kind, key, taskId, queueUntil: rest[0] as number };
  const [stored, workerId, leaseUntil, deadline] = rest as [string, string, number, number];
  const token = wholeToken(taskId, stored);
  return { kind: "lease", key, taskId, token, workerId, leaseUntil, deadline };
}

export function readDue(partition: number, reply: Reply): contract.ClaimDueAnswer {
  const [items, next] = reply as readonly [readonly Reply[], Reply];
  return withNextDue(
    { items: items.map((item) => readDueItem(partition, item)) },
    next as number | null,
  );
}

export function readTimers(partition: number, reply: Reply): contract.TimerPlace[] {
  return (reply as readonly (readonly [string, string, number])[]).map(([execution, id, due]) => {
    return { key: { partition, id: execution }, id, due };
  });
}

export function readOutbox(partition: number, reply: Reply) {
  const [list, next] = reply as readonly [readonly Reply[], Reply];
  const messages = list.map((message): contract.OutboxMessage => {
    const [source, id, body, deliveries] = message as readonly [string, string, string, number];
    return { key: { partition, id: source }, id, body, deliveries };
  });
  return withNextDue({ messages }, next as number | null);
}

/** Tasks and messages in the order of their adding. */
export function readHoldings(executionId: string, reply: Reply): contract.Holdings {
  const [tasks, timers, messages] = reply as readonly [
    readonly (readonly [string, number, string, string, string, string, number])[],
    readonly (readonly [string, number])[],
    readonly (readonly [string, number])[],
  ];
  const inOrder = [...tasks].sort((a, b) => a[1] - b[1]);
  return {
    tasks: inOrder.map(([stored, , queue, state, workerId, token, leaseUntil]) => {
      const id = wholeTaskId(executionId, stored);
      if (state === "Q") return { id, queue, state: "queued" };
      return { id, queue, state: "leased", workerId, token: wholeToken(id, token), leaseUntil };
    }),
    timers: timers.map(([id, at]) => ({ id, at })),
    messages: [...messages].sort((a, b) => a[1] - b[1]).map(([id]) => id),
  };
}

export function readListing(reply: Reply): contract.Listing {
  const [id, workflow, correlationId, version, startedAt, status, parent, inline] =
    reply as readonly [
      ...[string, string, string | null, number, number, string],
      ...[string | null, number | undefined],
    ];
  return {
    id,
    workflow,
    version,
    startedAt,
    ...readStatus(status),
    ...defined({
      correlationId: correlationId ?? undefined,
      parent: parent ?? undefined,
      inline: inline === 1 ? (true as const) : undefined,
    }),
  };
}

export function readStats(reply: Reply): contract.QueueStats {
  const [queue, queued, leased, oldestAt] = reply as readonly [
    ...[string, number, number],
    number | null,
  ];
  return { queue, queued, leased, ...defined({ oldestAt: oldestAt ?? undefined }) };
}
