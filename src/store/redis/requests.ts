/**
 * Requests as the scripts take them apart; the order of the values is described in the scripts'
 * headers. What does not depend on what is stored is put together here, where there are more
 * processors than the one of Redis.
 */
import { limits } from "../../base/limits.ts";
import type { CommitRequest, CreateRequest, HandOff, Head, StoreEffects } from "../store.ts";
import type { Bytes } from "./bytes.ts";
import { listMember } from "./keys.ts";
import { type Packable, type PackableMap, packInto, written } from "./pack.ts";
import type { ArgumentWriter } from "./resp.ts";
import { shortTaskId, shortToken } from "./short-ids.ts";

type NewTask = StoreEffects["tasks"][number];

/** What the entries of one call share: see scripts/lib/batch.lua. */
export interface Call {
  /** By number, from one. */
  readonly bases: string[];
  /** How many places the entries of each base need. */
  readonly places: number[];
  readonly entries: ArgumentWriter;
  /** Names and values, and what else is taken from there as it is. */
  readonly fields: ArgumentWriter;
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

/** Texts of more characters are not in their tasks' records, which are written at every change. */
export const recordTextMax = 1_024;
/** What later commits leave is not kept in a separate field for each: see scripts/lib/heads.lua. */
export const inlineRevisionsMax = 64;

/** How commit ids end, by which scripts see which are certainly new. */
const idEndChars = 2;

export function endOf(commitId: string): string {
  return commitId.length < idEndChars ? commitId.padStart(idEndChars) : commitId.slice(-idEndChars);
}

export function headText({ revision, commitId }: Head): string {
  return `${revision} ${commitId}\n`;
}

/** The status as it is stored: see scripts/lib/executions.lua. */
export function statusText(status: string, endedAt: number | undefined): string {
  return endedAt === undefined ? status : `${status} ${endedAt}`;
}

/** Lists that are empty are not sent. */
function orAbsent<Item extends Packable>(list: readonly Item[]): readonly Item[] | undefined {
  return list.length === 0 ? undefined : list;
}

/** How the record of a leased task begins; scripts/lib/records.lua. */
function leaseMark(id: string, shortId: string, token: string): string {
  return `L${shortToken(id, token)}\0${shortId}\0`;
}

interface Leased {
  readonly task: NewTask;
  readonly shortId: string;
  readonly handOff: HandOff;
  readonly text: string;
  readonly now: number;
}

/** The record of one that is leased at once, but for its place. */
function writeLeased(out: Bytes, { task, shortId, handOff, text, now }: Leased): void {
  const { id, queue, priority, timeoutMs, heartbeatMs, queueTimeoutMs } = task;
  const { token, workerId, leaseUntil, deadline } = handOff;
  const terms = [
    queue,
    leaseUntil,
    workerId,
    now,
    deadline,
    queueTimeoutMs || false,
    false,
  ] as const;
  out.text(leaseMark(id, shortId, token));
  packInto(out, [[...terms, priority, now, timeoutMs, heartbeatMs]]);
  out.text(text);
}

/** Of tasks with the same id the last one counts. */
function distinct(tasks: readonly NewTask[]): readonly NewTask[] {
  if (tasks.length < 2) return tasks;
  const last = new Map(tasks.map(({ id }, i) => [id, i]));
  return last.size === tasks.length ? tasks : tasks.filter(({ id }, i) => last.get(id) === i);
}

/** As one argument. */
function addPacked(writer: ArgumentWriter, values: readonly Packable[]): void {
  const at = writer.begin();
  packInto(writer.out, values);
  writer.end(at);
}

class Entry {
  readonly #call: Call;
  readonly #executionId: string;
  readonly #now: number;
  readonly base: number;
  /** Position of its first field, from one. */
  readonly first: number;
  last = 0;
  readonly #gone: string[] = [];
  readonly #puts: Packable[] = [];

  constructor(request: CreateRequest | CommitRequest, base: string, call: Call) {
    const known = call.bases.indexOf(base);
    this.base = known < 0 ? call.bases.push(base) : known + 1;
    this.#call = call;
    this.#executionId = request.key.id;
    this.#now = request.now;
    this.first = call.fields.count + 1;
    const { tasks, messages } = request.effects;
    const places = call.places[this.base - 1] ?? 0;
    call.places[this.base - 1] = places + tasks.length + messages.length;
  }

  get gone(): readonly string[] | undefined {
    return orAbsent(this.#gone);
  }

  set(name: string, value: string): void {
    const { fields } = this.#call;
    fields.text(name);
    fields.text(value);
    this.last = fields.count;
  }

  setPacked(name: string, values: readonly Packable[]): void {
    const { fields } = this.#call;
    fields.text(name);
    addPacked(fields, values);
    this.last = fields.count;
  }

  /** Before the first field. */
  lead(text: string): void {
    this.#call.fields.text(text);
  }

  /** Behind the last field. */
  appendLeased(leased: Leased): void {
    const { fields } = this.#call;
    const at = fields.begin();
    writeLeased(fields.out, leased);
    fields.end(at);
  }

  /** What scripts unpack: all else must have been written before. */
  finish(values: readonly Packable[]): void {
    addPacked(this.#call.entries, values);
  }

  drop(name: string): void {
    this.#gone.push(name);
  }

  /** Returns the history that is not among the fields. */
  trace({ revision, commitId }: Head, history: readonly string[]): readonly string[] {
    if (revision > inlineRevisionsMax) {
      this.set(`c${revision % limits.commitIdsKept}`, commitId);
      return history;
    }
    let left = commitId;
    for (const entry of history) left += `\0${entry}`;
    this.set(`n:${revision}`, left);
    return [];
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

  timers(timers: StoreEffects["timers"]): void {
    for (const { id, at } of timers) {
      this.setPacked(`m:${id}`, [[at, false]]);
      this.#putTimer(id, at);
    }
  }

  get puts(): readonly Packable[] | undefined {
    return orAbsent(this.#puts);
  }

  /** See add_all in scripts/lib/additions.lua. */
  added({ tasks, messages }: StoreEffects): PackableMap {
    return {
      tasks: orAbsent(distinct(tasks).map((task) => this.#task(task))),
      messages: orAbsent(messages.map(({ id, body }) => ({ id, body }))),
    };
  }

  #task(task: NewTask): PackableMap {
    const { queue, priority, timeoutMs, heartbeatMs, queueTimeoutMs, lease } = task;
    const shortId = this.taskId(task.id);
    const text = taskText(task);
    const isSmall = text.length <= recordTextMax;
    if (!isSmall) this.set(`b:${shortId}`, text);
    const part = { id: shortId, text: isSmall && text };
    if (lease !== undefined) {
      const given = { task, shortId, handOff: lease, text: isSmall ? text : "", now: this.#now };
      const record = written((out) => writeLeased(out, given));
      return { ...part, record, until_moment: lease.leaseUntil };
    }
    const times = { timeout: timeoutMs, heartbeat: heartbeatMs };
    return { ...part, queue, priority, ...times, queue_timeout: queueTimeoutMs || undefined };
  }
}

type Settled = CommitRequest["settle"][number];

/** What scripts/lib/commit-step.lua calls settled, added and until_moment. */
type StepPart = readonly [settled: Packable, added: Packable, untilMoment: Packable];

const noStep: StepPart = [false, false, false];

/**
 * One task settled at most, one small one added at most and leased at once: nearly every step.
 * Undefined: the commit is more than that.
 */
function stepPart(request: CommitRequest, entry: Entry): StepPart | undefined {
  const { settle, expire, consumeTimers, hold, effects } = request;
  const { tasks, dropTasks, messages } = effects;
  if (settle.length > 1 || tasks.length > 1 || hold !== undefined) return undefined;
  if (expire.length + consumeTimers.length + dropTasks.length + messages.length > 0) {
    return undefined;
  }
  const [settled] = settle as readonly [Settled?];
  const [task] = tasks as readonly [NewTask?];
  if (settled?.token === null) return undefined;
  const mark =
    settled !== undefined && leaseMark(settled.taskId, entry.taskId(settled.taskId), settled.token);
  if (task === undefined) return [mark, false, false];
  const { id, lease: handOff } = task;
  const text = taskText(task);
  if (handOff === undefined || text.length > recordTextMax) return undefined;
  const shortId = entry.taskId(id);
  entry.appendLeased({ task, shortId, handOff, text, now: request.now });
  return [mark, `t:${shortId}`, handOff.leaseUntil];
}

type Ended = Settled | CommitRequest["expire"][number];

/** See scripts/lib/commit-changes.lua. */
function changesOf(request: CommitRequest, entry: Entry): PackableMap {
  const { settle, expire, consumeTimers, hold, effects } = request;
  const ended = ({ taskId, token }: Ended) => {
    return { id: entry.taskId(taskId), token: token !== null && shortToken(taskId, token) };
  };
  const settled = settle.map(ended);
  const expired = expire.map((one) => ({ ...ended(one), until_moment: one.until }));
  return {
    hold,
    settle: orAbsent(settled),
    expire: orAbsent(expired),
    consume: orAbsent(consumeTimers.map(({ id, claimId }) => ({ id, claim: claimId }))),
    drop: orAbsent(effects.dropTasks.map((id) => entry.taskId(id))),
    ...entry.added(effects),
  };
}

export function encodeCommit(request: CommitRequest, base: string, call: Call): void {
  const { key, expected, commitId, now, status, endedAt, effects } = request;
  const entry = new Entry(request, base, call);
  const next = { revision: expected.revision + 1, commitId };
  entry.lead(headText(next));
  entry.lead(statusText(status, endedAt));
  const history = orAbsent(entry.trace(next, effects.history));
  entry.set("S", request.state);
  entry.data(request.data);
  for (const { id } of request.consumeTimers) entry.dropTimer(id);
  for (const id of effects.dropTimers) entry.dropTimer(id);
  entry.timers(effects.timers);
  const part = stepPart(request, entry);
  const changes = part === undefined ? changesOf(request, entry) : undefined;
  const { gone, puts } = entry;
  const isMore = gone !== undefined || puts !== undefined || history !== undefined;
  const more = isMore || changes !== undefined ? { gone, puts, history, changes } : false;
  const { first, last } = entry;
  entry.finish([
    ...[entry.base, key.id, headText(expected), endOf(commitId), now, first, last],
    ...[...(part ?? noStep), more],
  ]);
}

/** Whether not all of them are in the lone slot: see scripts/lib/records.lua. */
function hasOthers(tasks: readonly NewTask[]): boolean {
  return tasks.length > 1 || tasks.some((task) => taskText(task).length > recordTextMax);
}

export function encodeCreate(request: CreateRequest, base: string, call: Call): void {
  const { key, commitId, now, listing, requestHash, effects } = request;
  const { workflow, version, startedAt, endedAt } = listing;
  const correlationId = listing.correlationId ?? (false as const);
  const entry = new Entry(request, base, call);
  const member = listMember(listing);
  const head = { revision: 1, commitId };
  const status = statusText(listing.status, endedAt);
  entry.set(
    "r",
    `${headText(head)}${hasOthers(effects.tasks) ? "+" : "-"}${endOf(commitId)}\n${status}`,
  );
  entry.trace(head, effects.history);
  const { parent = false as const } = listing;
  // Most have no parent, and nothing is written of it.
  const child = parent === false ? [] : [parent, listing.inline === true ? 1 : 0];
  entry.setPacked("l", [member, workflow, correlationId, version, startedAt, ...child]);
  if (requestHash !== undefined) entry.set("q", requestHash);
  entry.set("S", request.state);
  entry.data(request.data);
  entry.timers(effects.timers);
  const isMore = effects.tasks.length + effects.messages.length + effects.timers.length > 0;
  const more = isMore && { ...entry.added(effects), puts: entry.puts };
  const { first, last } = entry;
  entry.finish([
    ...[entry.base, key.id, commitId, now, first, last],
    ...[status, member, workflow, correlationId, parent, more],
  ]);
}
