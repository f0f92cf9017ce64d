/** What a create or a commit does besides writing state and fields: tasks, timers, messages. */
import { formatToken } from "../../model/ids.ts";
import * as life from "../kit/task-life.ts";
import type { CommitRequest, StoreEffects } from "../store.ts";
import type { Edit } from "./edit.ts";
import { outboxShelf } from "./hints.ts";
import { fromLife, isHeld, toLife, withHold } from "./holds.ts";
import type { ExecutionRecord, TaskRecord } from "./model.ts";
import { staysPosted } from "./moments.ts";

/** Dropped lone tasks whose heartbeats are `cancelled`; those of older ones are `stale`. */
const droppedMax = 100;
/** Message bodies that stand in the head. */
const bodyCharsMax = 1_024;

export function lifeOf(task: TaskRecord, { hold }: ExecutionRecord): life.TaskLife {
  return toLife(task.life, hold);
}

/** Every change of a task's life goes through here: what claimDue had given of it is void. */
export function become(edit: Edit, task: TaskRecord, next: life.TaskLife): TaskRecord {
  return { ...task, life: fromLife(next, edit.record.hold), hiding: undefined };
}

/** It ends, or is replaced. */
function endTask(edit: Edit, task: TaskRecord): void {
  const isRow = edit.record.lone !== task;
  edit.deleteTask(task);
  if (isRow && task.life.state !== "dropped") edit.change({ rows: edit.record.rows - 1 });
}

export function endTasks(edit: Edit, { settle, expire }: CommitRequest): void {
  for (const { taskId } of [...settle, ...expire]) {
    const task = edit.task(taskId);
    if (task !== undefined) endTask(edit, task);
  }
}

/** The lone task is kept as a token, so that there is room for the next one. */
function dropTask(edit: Edit, task: TaskRecord): void {
  const before = lifeOf(task, edit.record);
  const next = life.dropTask(before);
  if (next === undefined) endTask(edit, task);
  if (next === undefined || next === before) return;
  if (edit.record.lone !== task) {
    edit.setTask(become(edit, task, next));
    edit.change({ rows: edit.record.rows - 1 });
    return;
  }
  const { token } = before.lease as life.Lease;
  const until = before.until as number;
  edit.deleteTask(task);
  const kept = edit.record.dropped.filter((one) => one.until >= edit.now);
  edit.change({ dropped: [...kept, { id: task.id, token, until }].slice(-droppedMax) });
}

/** Queued tasks in rows stay as they are; what is on offer again gets new hints. */
export function hold(edit: Edit, held: boolean): void {
  const { now } = edit;
  const { lone } = edit.record;
  if (held === isHeld(edit.record.hold)) return;
  edit.change({ hold: withHold(edit.record.hold, { held, now }) });
  if (held) return;
  const rows = edit.rowTasks().filter(({ life: { state } }) => state === "queued");
  for (const task of rows.toSorted((a, b) => a.sequence - b.sequence)) {
    edit.strikePlace(task);
    edit.postAgain(task);
  }
  if (lone?.life.state !== "queued") return;
  edit.strikePlace(lone);
  edit.setTask(edit.post(lone));
}

function addTasks(edit: Edit, tasks: StoreEffects["tasks"]): void {
  for (const added of tasks) {
    const known = edit.task(added.id);
    if (known !== undefined) endTask(edit, known);
    const { dropped } = edit.record;
    const isDropped = dropped.some(({ id }) => id === added.id);
    if (isDropped) edit.change({ dropped: dropped.filter(({ id }) => id !== added.id) });
    addTask(edit, added, tasks.length === 1);
  }
}

function addTask(edit: Edit, added: StoreEffects["tasks"][number], isOnly: boolean): void {
  const { hold: terms, rows, sequence } = edit.record;
  const { id, queue, priority, timeoutMs, heartbeatMs } = added;
  const row = life.addTask(added, { held: isHeld(terms), now: edit.now });
  const task: TaskRecord = {
    id,
    queue,
    priority,
    timeoutMs,
    heartbeatMs,
    header: edit.text(added.header),
    parameters: edit.text(added.parameters),
    queuedAt: edit.now,
    sequence,
    life: fromLife(row, terms),
    hiding: undefined,
    place: undefined,
  };
  const isLone = isOnly && edit.record.lone === undefined && rows === 0;
  edit.change(isLone ? { lone: task } : { rows: rows + 1, isWide: true });
  edit.change({ sequence: sequence + 1 });
  const posted = row.state === "queued" ? edit.post(task) : task;
  if (isLone) edit.change({ lone: posted });
  else edit.addRow(posted);
}

export function setTimers(
  edit: Edit,
  { timers, dropTimers }: Pick<StoreEffects, "timers" | "dropTimers">,
): void {
  if (timers.length + dropTimers.length === 0) return;
  const gone = new Set([...dropTimers, ...timers.map(({ id }) => id)]);
  const kept = edit.record.timers.filter(({ id }) => !gone.has(id));
  const added = new Map(timers.map(({ id, at }) => [id, { id, at, hiding: undefined }]));
  edit.change({ timers: [...kept, ...added.values()] });
}

function sendMessages(edit: Edit, messages: StoreEffects["messages"]): void {
  for (const { id, body } of messages) {
    const { sequence } = edit.record;
    const kept = edit.record.messages.filter((known) => {
      if (known.id === id) edit.drop(known.body);
      return known.id !== id;
    });
    const text = edit.text(body, bodyCharsMax);
    const state = { deliveries: 0, visibleAt: edit.now, claimId: undefined };
    const message = { id, body: text, sequence, ...state };
    edit.change({ messages: [...kept, message], sequence: sequence + 1 });
  }
}

/** The hint of the outbox comes no later than the first message that is to be given. */
export function standInOutbox(edit: Edit, { isFollowed }: { readonly isFollowed: boolean }): void {
  const { messages, outbox } = edit.record;
  const { now } = edit;
  const [first] = messages;
  const stays =
    first === undefined
      ? outbox === undefined
      : staysPosted(outbox, first.visibleAt, { isFollowed, now });
  if (stays) return;
  const shelf = outboxShelf(edit.key.partition);
  if (outbox !== undefined) edit.strikes.push({ shelf, place: outbox });
  if (first === undefined) {
    edit.change({ outbox: undefined });
    return;
  }
  const place = edit.placeFor(first.visibleAt);
  edit.posts.push({ shelf, entry: { place, body: edit.hint() } });
  edit.change({ outbox: place });
}

/** All drops come before all additions: a commit may replace what it ends. */
export function applyEffects(edit: Edit, effects: StoreEffects): void {
  for (const id of effects.dropTasks) {
    const task = edit.task(id);
    if (task !== undefined) dropTask(edit, task);
  }
  setTimers(edit, effects);
  addTasks(edit, effects.tasks);
  sendMessages(edit, effects.messages);
  standInOutbox(edit, { isFollowed: false });
}

/** Whether it is leased under the prefix of a claim. */
export function isLeasedUnder(task: TaskRecord, record: ExecutionRecord, tokenPrefix: string) {
  return life.isLeasedUnder(lifeOf(task, record), formatToken(tokenPrefix, task.id));
}
