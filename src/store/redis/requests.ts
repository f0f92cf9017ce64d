/** Requests as the scripts take them apart; the positions are described in the scripts' headers. */
import type { CommitRequest, CreateRequest, HandOff, StoreEffects } from "../store.ts";
import { listMember } from "./keys.ts";
import { shortTaskId, shortToken } from "./names.ts";
import { type Packable, pack } from "./pack.ts";

type NewTask = StoreEffects["tasks"][number];

/** Longer texts are arguments of their own: see scripts/lib/effects.lua. */
const textCharsMax = 100;

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

/** Puts one request into the form of an entry; long texts go to those of the call. */
class Encoder {
  readonly #executionId: string;
  readonly #now: number;
  readonly #texts: string[];

  constructor(request: CreateRequest | CommitRequest, texts: string[]) {
    this.#executionId = request.key.id;
    this.#now = request.now;
    this.#texts = texts;
  }

  text(text: string): Packable {
    return text.length > textCharsMax ? this.#texts.push(text) : text;
  }

  taskId(id: string): string {
    return shortTaskId(this.#executionId, id);
  }

  data(data: ReadonlyMap<string, string | null>): Packable {
    if (data.size === 0) return false;
    const list: Packable[] = [];
    for (const [name, value] of data) list.push(name, value === null ? false : this.text(value));
    return list;
  }

  effects({ tasks, timers, messages, history }: StoreEffects): Packable {
    if (tasks.length + timers.length + messages.length + history.length === 0) return false;
    return [
      mapped(tasks, (task) => this.#task(task)),
      flat(timers, ({ id, at }) => [id, at]),
      flat(messages, ({ id, body }) => [id, this.text(body)]),
      mapped(history, (entry) => this.text(entry)),
    ];
  }

  #task(task: NewTask): Packable {
    const { id, queue, priority, timeoutMs, heartbeatMs, queueTimeoutMs, lease } = task;
    const named = [this.taskId(id), queue, this.text(taskText(task))];
    if (lease === undefined) return [...named, priority, timeoutMs, heartbeatMs, queueTimeoutMs];
    return [...named, this.#leasedRecord(task, lease), lease.leaseUntil];
  }

  /** As scripts/lib/records.lua has it; made here, as it is made for nearly every step. */
  #leasedRecord(task: NewTask, { token, workerId, leaseUntil, deadline }: HandOff): Buffer {
    const { id, queue, priority, timeoutMs, heartbeatMs, queueTimeoutMs } = task;
    const queueLeft = queueTimeoutMs > 0 ? queueTimeoutMs : (false as const);
    const packed = pack([
      ...[queue, leaseUntil, workerId, this.#now, deadline],
      ...([queueLeft, false, priority, this.#now, timeoutMs, heartbeatMs] as const),
    ]);
    return Buffer.concat([Buffer.from(`L${shortToken(id, token)}\0`), packed]);
  }
}

/** Empty lists are false: scripts need not make a table for each. */
function mapped<Item>(items: readonly Item[], part: (item: Item) => Packable): Packable {
  return items.length === 0 ? false : items.map(part);
}

function flat<Item>(items: readonly Item[], parts: (item: Item) => readonly Packable[]): Packable {
  return items.length === 0 ? false : items.flatMap(parts);
}

const holdCodes = { asBefore: 0, yes: 1, no: 2 } as const;

function holdCode(hold: boolean | undefined): number {
  if (hold === undefined) return holdCodes.asBefore;
  return hold ? holdCodes.yes : holdCodes.no;
}

/** `base`: the number of its base among the keys of the call. */
export function encodeCommit(request: CommitRequest, base: number, texts: string[]): Buffer {
  const { key, expected, commitId, now, status, endedAt, hold, effects } = request;
  const encoder = new Encoder(request, texts);
  const ended = endedAt ?? (false as const);
  const head: Packable[] = [base, key.id, expected.revision, expected.commitId, commitId, now];
  return pack([
    ...head,
    ...[status, ended, holdCode(hold), encoder.text(request.state), encoder.data(request.data)],
    flat(request.settle, ({ taskId, token }) => [
      ...[encoder.taskId(taskId), shortToken(taskId, token)],
    ]),
    flat(request.expire, ({ taskId, token, until }) => [
      ...[encoder.taskId(taskId), token === null ? (false as const) : shortToken(taskId, token)],
      until,
    ]),
    flat(request.consumeTimers, ({ id, claimId }) => [id, claimId]),
    mapped(effects.dropTasks, (id) => encoder.taskId(id)),
    mapped(effects.dropTimers, (id) => id),
    encoder.effects(effects),
  ]);
}

export function encodeCreate(request: CreateRequest, base: number, texts: string[]): Buffer {
  const { key, commitId, now, listing, requestHash, state, data, effects } = request;
  const { workflow, version, correlationId, startedAt, status, endedAt } = listing;
  const encoder = new Encoder(request, texts);
  const member = listMember(listing);
  const listed: Packable = [member, workflow, correlationId ?? false, version, startedAt];
  const head: Packable[] = [base, key.id, commitId, now, status];
  return pack([
    ...head,
    ...([endedAt ?? false, requestHash ?? false, listed, encoder.text(state)] as const),
    ...[encoder.data(data), encoder.effects(effects)],
  ]);
}
