/**
 * Requests as the scripts take them apart; the positions are described in the scripts' headers. What
 * does not depend on what is stored is put together here, where there are more processors.
 */
import type { CommitRequest, CreateRequest, HandOff, StoreEffects } from "../store.ts";
import { indexNames, listMember } from "./keys.ts";
import { shortTaskId, shortToken } from "./names.ts";
import { type Packable, pack } from "./pack.ts";

type NewTask = StoreEffects["tasks"][number];

/** Longer texts are arguments of their own: see scripts/lib/effects.lua. */
const textCharsMax = 100;

/** What every commit reads: see scripts/lib/executions.lua. */
const headFields = ["r", "c", "g", "s", "h", "e"];

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

/** Scripts count from one, and take false for an empty list. */
function orFalse(list: readonly Packable[]): Packable {
  return list.length === 0 ? false : list;
}

/** What one request changes, as far as it is known without looking. */
class Changes {
  readonly #executionId: string;
  readonly #now: number;
  /** Of the whole call. */
  readonly #texts: string[];
  readonly reads: string[] = [...headFields];
  readonly sets: Packable[] = [];
  readonly gone: string[] = [];
  readonly #refs: number[] = [];
  readonly #leases: Packable[] = [];
  readonly #puts: Packable[] = [];
  readonly #tasks: Packable[] = [];

  constructor(request: CreateRequest | CommitRequest, texts: string[]) {
    this.#executionId = request.key.id;
    this.#now = request.now;
    this.#texts = texts;
  }

  taskId(id: string): string {
    return shortTaskId(this.#executionId, id);
  }

  /** A long text travels beside the entries. */
  text(text: string): string | number {
    return text.length > textCharsMax ? this.#texts.push(text) : text;
  }

  set(name: string, text: string): void {
    const value = this.text(text);
    this.sets.push(name, value);
    if (typeof value === "number") this.#refs.push(this.sets.length, value);
  }

  /** Of a set of the partition; false removes. */
  put(set: string, member: string, score: number | false): void {
    this.#puts.push(set, member, score);
  }

  member(id: string): string {
    return `${this.#executionId}\0${id}`;
  }

  /** Answers the position among what is read. */
  read(name: string): number {
    return this.reads.push(name);
  }

  settle({ taskId, token }: CommitRequest["settle"][number]): void {
    const id = this.taskId(taskId);
    this.#leases.push(this.read(`t:${id}`), `L${shortToken(taskId, token)}\0`);
    this.gone.push(`t:${id}`, `b:${id}`);
    this.put("leases", this.member(id), false);
  }

  dropTimer(id: string): void {
    this.gone.push(`m:${id}`);
    this.put("timers", this.member(id), false);
  }

  effects({ tasks, timers }: StoreEffects): void {
    for (const { id, at } of timers) {
      this.sets.push(`m:${id}`, pack([at, false]));
      this.put("timers", this.member(id), at);
    }
    for (const task of tasks) {
      const id = this.taskId(task.id);
      this.set(`b:${id}`, taskText(task));
      this.#tasks.push(this.#task(id, task));
    }
  }

  #task(id: string, task: NewTask): Packable {
    const { queue, priority, timeoutMs, heartbeatMs, lease } = task;
    if (lease !== undefined) return [id, this.#leasedRecord(task, lease), lease.leaseUntil];
    return [id, false, queue, priority, timeoutMs, heartbeatMs, task.queueTimeoutMs || false];
  }

  /** As scripts/lib/records.lua has it, but for the place. */
  #leasedRecord(task: NewTask, { token, workerId, leaseUntil, deadline }: HandOff): Buffer {
    const { id, queue, priority, timeoutMs, heartbeatMs, queueTimeoutMs } = task;
    const packed = pack([
      ...[queue, leaseUntil, workerId, this.#now, deadline],
      ...([queueTimeoutMs || false, false, priority, this.#now, timeoutMs, heartbeatMs] as const),
    ]);
    return Buffer.concat([Buffer.from(`L${shortToken(id, token)}\0`), packed]);
  }

  messages({ messages }: StoreEffects): Packable {
    return orFalse(messages.flatMap(({ id, body }) => [id, this.text(body)]));
  }

  get refs(): Packable {
    return orFalse(this.#refs);
  }

  get leases(): Packable {
    return orFalse(this.#leases);
  }

  get puts(): Packable {
    return orFalse(this.#puts);
  }

  get tasks(): Packable {
    return orFalse(this.#tasks);
  }
}

const holdCodes = { asBefore: 0, yes: 1, no: 2 } as const;

function holdCode(hold: boolean | undefined): number {
  if (hold === undefined) return holdCodes.asBefore;
  return hold ? holdCodes.yes : holdCodes.no;
}

/** What depends on what is stored; false for nearly every step. */
function restOf(request: CommitRequest, changes: Changes): Packable {
  const { hold, expire, consumeTimers, effects } = request;
  const { dropTasks, messages } = effects;
  const others = expire.length + consumeTimers.length + dropTasks.length + messages.length;
  if (hold === undefined && others === 0) return false;
  const expired = expire.flatMap(({ taskId, token, until }): Packable[] => [
    ...[changes.taskId(taskId), token === null ? (false as const) : shortToken(taskId, token)],
    until,
  ]);
  const consumed = consumeTimers.flatMap(({ id, claimId }) => [changes.read(`m:${id}`), claimId]);
  const dropped = dropTasks.map((id) => changes.taskId(id));
  return [
    ...[holdCode(hold), orFalse(expired), orFalse(consumed), orFalse(dropped)],
    changes.messages(effects),
  ];
}

/** `base`: the number of its base among the keys of the call. */
export function encodeCommit(request: CommitRequest, base: number, texts: string[]): Buffer {
  const { key, expected, commitId, now, status, endedAt, effects } = request;
  const changes = new Changes(request, texts);
  changes.sets.push("r", `${expected.revision + 1}`);
  if (endedAt !== undefined) changes.sets.push("e", endedAt);
  changes.set("S", request.state);
  for (const [name, value] of request.data) {
    if (value === null) changes.gone.push(`d:${name}`);
    else changes.set(`d:${name}`, value);
  }
  for (const settled of request.settle) changes.settle(settled);
  for (const { id } of request.consumeTimers) changes.dropTimer(id);
  for (const id of effects.dropTimers) changes.dropTimer(id);
  changes.effects(effects);
  const rest = restOf(request, changes);
  for (const { taskId } of request.expire) changes.read(`t:${changes.taskId(taskId)}`);
  for (const id of effects.dropTasks) changes.read(`t:${changes.taskId(id)}`);
  for (const { id } of effects.tasks) changes.read(`t:${changes.taskId(id)}`);
  return pack([
    ...[base, key.id, changes.reads, `${expected.revision}`, expected.commitId, commitId, now],
    ...[status, changes.sets, orFalse(changes.gone), changes.refs, changes.leases, changes.puts],
    ...[changes.tasks, orFalse(effects.history), rest],
  ] as Packable[]);
}

export function encodeCreate(request: CreateRequest, base: number, texts: string[]): Buffer {
  const { key, commitId, now, listing, requestHash, data, effects } = request;
  const { workflow, version, correlationId, startedAt, status, endedAt } = listing;
  const changes = new Changes(request, texts);
  const member = listMember(listing);
  const listed = pack([member, workflow, correlationId ?? false, version, startedAt]);
  changes.sets.push("r", "1", "c", `\n${commitId}\n`, "k", commitId, "s", status, "l", listed);
  if (endedAt !== undefined) changes.sets.push("e", endedAt);
  if (requestHash !== undefined) changes.sets.push("q", requestHash);
  changes.set("S", request.state);
  for (const [name, value] of data) changes.set(`d:${name}`, value);
  changes.effects(effects);
  for (const name of indexNames(listing)) changes.put(name, member, 0);
  return pack([
    ...[base, key.id, commitId, now, changes.sets, changes.refs, changes.puts, changes.tasks],
    ...[orFalse(effects.history), changes.messages(effects)],
  ] as Packable[]);
}
