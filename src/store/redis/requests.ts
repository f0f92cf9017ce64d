/**
 * Requests as the scripts take them apart; the order of the values is described in the scripts'
 * headers. What does not depend on what is stored is put together here, where there are more
 * processors than the one of Redis.
 */
import type { CommitRequest, CreateRequest, HandOff, StoreEffects } from "../store.ts";
import { listMember } from "./keys.ts";
import type { Argument } from "./link.ts";
import { shortTaskId, shortToken } from "./names.ts";
import { type Packable, pack, packAll } from "./pack.ts";

type NewTask = StoreEffects["tasks"][number];

/** What the entries of one call share: see scripts/lib/effects.lua. */
export interface Call {
  /** By number, from one. */
  readonly bases: string[];
  /** How many places the entries of each base need. */
  readonly places: number[];
  /** Names and values. */
  readonly fields: Argument[];
}

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

function orFalse(list: readonly Packable[]): Packable {
  return list.length === 0 ? false : list;
}

/** As values, not as a table. */
function packedOrFalse(list: readonly Packable[]): Packable {
  return list.length === 0 ? false : packAll(list);
}

/** One that is leased at once, as scripts/lib/records.lua has it, but for its place. */
function leasedRecord(task: NewTask, handOff: HandOff, now: number): Buffer {
  const { id, queue, priority, timeoutMs, heartbeatMs, queueTimeoutMs } = task;
  const { token, workerId, leaseUntil, deadline } = handOff;
  const packed = packAll([
    [
      ...[queue, leaseUntil, workerId, now, deadline],
      ...([queueTimeoutMs || false, false, priority, now, timeoutMs, heartbeatMs] as const),
    ],
  ]);
  return Buffer.concat([Buffer.from(`L${shortToken(id, token)}\0`), packed]);
}

class Entry {
  readonly #call: Call;
  readonly #executionId: string;
  readonly #now: number;
  readonly base: number;
  /** Position of its first field, from one. */
  readonly first: number;
  readonly #gone: string[] = [];
  readonly #puts: Packable[] = [];

  constructor(request: CreateRequest | CommitRequest, base: string, call: Call) {
    const known = call.bases.indexOf(base);
    this.base = known < 0 ? call.bases.push(base) : known + 1;
    this.#call = call;
    this.#executionId = request.key.id;
    this.#now = request.now;
    this.first = call.fields.length + 1;
    const { tasks, messages } = request.effects;
    const places = call.places[this.base - 1] ?? 0;
    call.places[this.base - 1] = places + tasks.length + messages.length;
  }

  get last(): number {
    return this.#call.fields.length;
  }

  get gone(): Packable {
    return packedOrFalse(this.#gone);
  }

  set(name: string, value: Argument): void {
    this.#call.fields.push(name, value);
  }

  drop(...names: string[]): void {
    this.#gone.push(...names);
  }

  data(data: CommitRequest["data"]): void {
    for (const [name, value] of data) {
      if (value === null) this.drop(`d:${name}`);
      else this.set(`d:${name}`, value);
    }
  }

  taskId(id: string): string {
    return shortTaskId(this.#executionId, id);
  }

  #putTimer(id: string, at: number | false): void {
    this.#puts.push("timers", `${this.#executionId}\0${id}`, at);
  }

  dropTimer(id: string): void {
    this.drop(`m:${id}`);
    this.#putTimer(id, false);
  }

  /** See add_all in scripts/lib/effects.lua. */
  added({ tasks, timers, messages }: StoreEffects): Packable {
    for (const { id, at } of timers) {
      this.set(`m:${id}`, pack([at, false]));
      this.#putTimer(id, at);
    }
    const sent = messages.flatMap(({ id, body }) => [id, body]);
    const added = tasks.map((task) => this.#task(task));
    return [orFalse(this.#puts), orFalse(added), orFalse(sent)];
  }

  #task(task: NewTask): Packable {
    const { queue, priority, timeoutMs, heartbeatMs, queueTimeoutMs, lease } = task;
    const id = this.taskId(task.id);
    this.set(`b:${id}`, taskText(task));
    if (lease !== undefined) return [id, leasedRecord(task, lease, this.#now), lease.leaseUntil];
    return [id, false, queue, priority, timeoutMs, heartbeatMs, queueTimeoutMs || false];
  }
}

type Settled = CommitRequest["settle"][number];

/** One task settled at most, one added at most and leased at once: nearly every step. */
function isPlain(request: CommitRequest): boolean {
  const { settle, expire, consumeTimers, hold, effects } = request;
  const { tasks, dropTasks, timers, dropTimers, messages } = effects;
  if (settle.length > 1 || tasks.length > 1 || hold !== undefined) return false;
  const others = expire.length + consumeTimers.length + dropTasks.length;
  if (others + timers.length + dropTimers.length + messages.length > 0) return false;
  return tasks[0] === undefined || tasks[0].lease !== undefined;
}

function plainPart(request: CommitRequest, entry: Entry): Packable[] {
  const [settled] = request.settle as readonly [Settled?];
  const [task] = request.effects.tasks as readonly [NewTask?];
  const part: Packable[] = [false, false, false, false, false];
  if (settled !== undefined) {
    const id = entry.taskId(settled.taskId);
    entry.drop(`t:${id}`, `b:${id}`);
    part[0] = id;
    part[1] = `L${shortToken(settled.taskId, settled.token)}\0`;
  }
  if (task?.lease !== undefined) {
    const id = entry.taskId(task.id);
    entry.set(`b:${id}`, taskText(task));
    part[2] = id;
    part[3] = leasedRecord(task, task.lease, request.now);
    part[4] = task.lease.leaseUntil;
  }
  return part;
}

const holdCodes = { asBefore: 0, yes: 1, no: 2 } as const;

function holdCode(hold: boolean | undefined): number {
  if (hold === undefined) return holdCodes.asBefore;
  return hold ? holdCodes.yes : holdCodes.no;
}

function wholePart(request: CommitRequest, entry: Entry): Packable[] {
  const { settle, expire, consumeTimers, hold, effects } = request;
  const settled = settle.flatMap(({ taskId, token }) => [
    ...[entry.taskId(taskId), shortToken(taskId, token)],
  ]);
  const expired = expire.flatMap(({ taskId, token, until }): Packable[] => [
    ...[entry.taskId(taskId), token === null ? (false as const) : shortToken(taskId, token)],
    until,
  ]);
  for (const { id } of consumeTimers) entry.dropTimer(id);
  for (const id of effects.dropTimers) entry.dropTimer(id);
  const rest = pack([
    ...[holdCode(hold), orFalse(settled), orFalse(expired)],
    orFalse(consumeTimers.flatMap(({ id, claimId }) => [id, claimId])),
    orFalse(effects.dropTasks.map((id) => entry.taskId(id))),
    entry.added(effects),
  ]);
  return [false, false, false, false, false, rest];
}

export function encodeCommit(request: CommitRequest, base: string, call: Call): Buffer {
  const { key, expected, commitId, now, status, endedAt, effects } = request;
  const entry = new Entry(request, base, call);
  entry.set("r", `${expected.revision + 1}`);
  if (endedAt !== undefined) entry.set("e", `${endedAt}`);
  entry.set("S", request.state);
  entry.data(request.data);
  const part = isPlain(request) ? plainPart(request, entry) : wholePart(request, entry);
  const head = [`${expected.revision}`, expected.commitId, commitId, now, status];
  return packAll([
    ...[entry.base, key.id, ...head, entry.first, entry.last],
    ...[entry.gone, packedOrFalse(effects.history), ...part],
  ]);
}

export function encodeCreate(request: CreateRequest, base: string, call: Call): Buffer {
  const { key, commitId, now, listing, requestHash, effects } = request;
  const { workflow, version, startedAt, status, endedAt } = listing;
  const correlationId = listing.correlationId ?? (false as const);
  const entry = new Entry(request, base, call);
  const member = listMember(listing);
  entry.set("r", "1");
  entry.set("c", `\n${commitId}\n`);
  entry.set("k", commitId);
  entry.set("s", status);
  entry.set("l", pack([member, workflow, correlationId, version, startedAt]));
  if (endedAt !== undefined) entry.set("e", `${endedAt}`);
  if (requestHash !== undefined) entry.set("q", requestHash);
  entry.set("S", request.state);
  entry.data(request.data);
  const added = pack(entry.added(effects));
  const head = [entry.base, key.id, commitId, now, entry.first, entry.last];
  return packAll([
    ...head,
    ...([packedOrFalse(effects.history), status, member, workflow, correlationId, added] as const),
  ]);
}
