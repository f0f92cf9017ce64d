/**
 * What an operation makes of an execution: the next head and rows, with the hints that must be posted
 * and the parts that must be written before, and those that go after. Nothing is written here.
 */
import type { ExecutionKey } from "../../model/ids.ts";
import { encodeHead, encodeMessages, encodeRow, encodeTimers } from "./codec.ts";
import type { Change, Part, Place, RowChange } from "./driver.ts";
import {
  dueShelf,
  type HintPlace,
  hintBody,
  type NewHint,
  type PlaceIds,
  type QueueShelf,
  queueShelf,
} from "./hints.ts";
import { earliestEnd, isHeld } from "./holds.ts";
import type { ExecutionRecord, Group, RowRecord, TaskRecord, Text } from "./model.ts";
import { earliestOf, rowDue, staysPosted } from "./moments.ts";
import { partNames, type Texts } from "./texts.ts";

/** Timers, or messages, that stand in the head; more of them stand in a part. */
const listedMax = 100;
/** A database may forget a tombstone that nobody has deleted so long after its end. */
const forgottenMs = 86_400_000;
/** Characters of texts that stand in records. */
const inlineCharsMax = 1_024;
/** Characters of a state that stands in the head. */
export const stateCharsMax = 64 * 1024;

/** How to write a change: hints and parts first, then the change, then the rest. */
export interface Draft {
  readonly now: number;
  readonly isCreation: boolean;
  readonly change: Change;
  readonly parts: readonly Part[];
  readonly posts: readonly NewHint[];
  /** Queues that get a hint. */
  readonly queues: readonly QueueShelf[];
  readonly strikes: readonly HintPlace[];
  readonly drops: readonly string[];
  /** As it is once it is written. */
  readonly group: Group;
}

interface EditTools {
  readonly ids: PlaceIds;
  readonly texts: Texts;
  /** Where timers and messages of a record stand in a part: by the lists themselves. */
  readonly spilled: WeakMap<object, Text>;
}

interface EditOptions extends EditTools {
  readonly key: ExecutionKey;
  readonly group: Group;
  readonly now: number;
  /** With which names of parts begin; absent: the latest commit. */
  readonly commitId?: string;
  /** The edit creates the execution. */
  readonly isCreation?: boolean;
  /** Head, while only rows change. */
  readonly headKind?: "open" | "any";
  /** Hints that have come due are followed: they go, and the next ones are posted. */
  readonly isFollowed?: boolean;
}

type Row = Pick<RowRecord, "task" | "due">;

/** Of the row that holds a task. */
export function rowName(taskId: string): string {
  return `t:${taskId}`;
}

export class Edit {
  readonly key: ExecutionKey;
  readonly now: number;
  /** Of everything that it writes. */
  readonly version: number;
  execution: ExecutionRecord | undefined;
  readonly parts: Part[] = [];
  readonly posts: NewHint[] = [];
  readonly strikes: HintPlace[] = [];
  readonly drops: string[] = [];
  readonly #options: EditOptions;
  readonly #queues: QueueShelf[] = [];
  /** Null: deleted. */
  readonly #rows = new Map<string, Row | null>();

  constructor(options: EditOptions) {
    this.#options = options;
    const { key, group, now } = options;
    this.key = key;
    this.now = now;
    this.execution = group.execution;
    const versions = [group.execution, ...group.rows.values()].map(
      (record) => record?.version ?? 0,
    );
    this.version = Math.max(now, ...versions.map((version) => version + 1));
  }

  /** Of an execution that exists. */
  get record(): ExecutionRecord {
    return this.execution as ExecutionRecord;
  }

  change(changes: Partial<ExecutionRecord>): void {
    this.execution = { ...this.record, ...changes };
  }

  // Texts

  /** As it stands in a record: itself, or its parts, which are written. */
  text(text: string, charsMax = inlineCharsMax): Text {
    if (text.length <= charsMax) return text;
    const { ids, texts, commitId = this.record.head.commitId } = this.#options;
    const { ref, parts } = texts.make(`${commitId}/${ids.next()}`, text);
    this.parts.push(...parts);
    return ref;
  }

  /** Nothing refers to it any more. */
  drop(text: Text | null | undefined): void {
    if (typeof text === "object" && text !== null) this.drops.push(...partNames(text));
  }

  // Tasks

  task(id: string): TaskRecord | undefined {
    if (this.execution?.lone?.id === id) return this.execution.lone;
    return this.#row(id)?.task;
  }

  #row(id: string): Row | undefined {
    const edited = this.#rows.get(id);
    return edited === undefined ? this.#options.group.rows.get(id) : (edited ?? undefined);
  }

  /** As it was read, of the row, or of the head where there is no row; undefined: there is none. */
  versionOf(taskId?: string): number | undefined {
    const { execution, rows } = this.#options.group;
    const row = taskId === undefined ? undefined : rows.get(taskId);
    return (row ?? execution)?.version;
  }

  /** Tasks in rows that were read, as they are now. */
  rowTasks(): readonly TaskRecord[] {
    return [...this.#options.group.rows.keys()].flatMap((id) => this.#row(id)?.task ?? []);
  }

  setTask(task: TaskRecord): void {
    if (this.record.lone?.id === task.id) this.change({ lone: task });
    else this.#rows.set(task.id, { task, due: this.#row(task.id)?.due });
  }

  addRow(task: TaskRecord): void {
    this.#rows.set(task.id, { task, due: undefined });
  }

  /** With its hints. */
  deleteTask(task: TaskRecord): void {
    this.strikePlace(task);
    this.drop(task.header);
    this.drop(task.parameters);
    if (this.execution?.lone?.id === task.id) {
      this.change({ lone: undefined });
      return;
    }
    const due = this.#row(task.id)?.due;
    if (due !== undefined) this.strikes.push({ shelf: dueShelf(this.key.partition), place: due });
    this.#rows.set(task.id, null);
  }

  /** The task on offer gets a hint under a new place. */
  post(task: TaskRecord, at = this.now): TaskRecord {
    const place = { at, id: this.#options.ids.next() };
    const { queue, priority } = task;
    this.#queues.push({ queue, priority });
    this.#post(queueShelf(this.key.partition, task), place, task.id);
    return { ...task, place };
  }

  /** A hint beside the one that the task names, for a task that does not change. */
  postAgain(task: TaskRecord): void {
    this.post(task);
    const end = earliestEnd(task.life, this.record.hold);
    if (end === null || task.life.state !== "queued") return;
    this.#post(dueShelf(this.key.partition), this.placeFor(end), task.id);
  }

  strikePlace({ place, ...task }: TaskRecord): void {
    if (place === undefined) return;
    this.strikes.push({ shelf: queueShelf(this.key.partition, task), place });
  }

  #post(shelf: NewHint["shelf"], place: Place, taskId?: string): void {
    this.posts.push({ shelf, entry: { place, body: this.hint(taskId) } });
  }

  hint(taskId?: string): string {
    const { key, version } = this;
    const { isCreation, commitId } = this.#options;
    const isRow = taskId !== undefined && this.execution?.lone?.id !== taskId;
    return hintBody({
      id: key.id,
      version,
      ...(isRow && { taskId }),
      ...(isCreation && { createdBy: commitId as string }),
    });
  }

  placeFor(at: number): Place {
    return { at: Math.max(at, this.now), id: this.#options.ids.next() };
  }

  // Due

  /** The hint that the row, or the head, names as read. */
  dueOf(taskId?: string): Place | undefined {
    const { execution, rows } = this.#options.group;
    return taskId === undefined ? execution?.due : rows.get(taskId)?.due;
  }

  /** Of the head, and of these rows: hints that have come due are replaced by the next ones. */
  renew(rows: readonly string[]): void {
    if (this.execution === undefined) return;
    if (!this.#stays(this.record.due, earliestOf(this.record, this.now))) this.change({});
    for (const id of rows) {
      const row = this.#row(id);
      if (row === undefined) continue;
      if (!this.#stays(row.due, rowDue(row.task, this.record.hold, this.now)))
        this.setTask(row.task);
    }
  }

  #stays(standing: Place | undefined, earliest: number | null): boolean {
    const { isFollowed = false } = this.#options;
    return staysPosted(standing, earliest, { isFollowed, now: this.now });
  }

  #standing(standing: Place | undefined, earliest: number | null, taskId?: string) {
    if (this.#stays(standing, earliest)) return standing;
    const shelf = dueShelf(this.key.partition);
    if (standing !== undefined) this.strikes.push({ shelf, place: standing });
    if (earliest === null) return undefined;
    const place = this.placeFor(earliest);
    this.#post(shelf, place, taskId);
    return place;
  }

  /** Null: nothing changes. */
  close(): Draft | null {
    const { group, headKind = "any" } = this.#options;
    const rows: RowChange[] = [];
    const written = new Map<string, RowRecord>();
    for (const [id, edited] of this.#rows) {
      const expected = group.rows.get(id)?.version ?? null;
      if (edited === null) {
        if (expected !== null) rows.push({ name: rowName(id), expected });
        continue;
      }
      const { task } = edited;
      const due = this.#standing(edited.due, rowDue(task, this.record.hold, this.now), id);
      const row = { version: this.version, task, due };
      written.set(id, row);
      const next = { version: this.version, body: encodeRow(row) };
      rows.push({ name: rowName(id), expected, next });
    }
    const head = this.execution === group.execution ? undefined : this.#closeHead();
    if (rows.length === 0 && head === undefined) return null;
    return {
      now: this.now,
      isCreation: this.#options.isCreation === true,
      change: { key: this.key, head: head?.change ?? { kind: headKind }, rows },
      parts: this.parts,
      posts: this.posts,
      queues: this.#queues,
      strikes: this.strikes,
      drops: this.drops,
      group: { execution: head?.execution ?? (group.execution as ExecutionRecord), rows: written },
    };
  }

  #closeHead() {
    const { group } = this.#options;
    const due = this.#standing(this.record.due, earliestOf(this.record, this.now));
    const { execution, body } = this.#encodeHead({ ...this.record, due, version: this.version });
    const next = {
      version: this.version,
      body,
      closed: isHeld(execution.hold) || execution.grave !== undefined,
    };
    const expected = group.execution?.version ?? null;
    const write = { kind: "write", expected, next } as const;
    const { grave } = execution;
    const change = grave?.isEmpty ? { ...write, expiresAt: grave.until + forgottenMs } : write;
    return { execution, change };
  }

  /** Where the body would be too large, what may be long in it stands in parts: the rest is small. */
  #encodeHead(execution: ExecutionRecord) {
    const lists = {
      timers: this.#listText("timers", encodeTimers),
      messages: this.#listText("messages", encodeMessages),
    };
    const body = encodeHead(execution, lists);
    if (!this.#options.texts.isTooLarge(body)) return { execution, body };
    const { state, timers, messages } = execution;
    const smaller = { ...execution, state: typeof state === "string" ? this.text(state) : state };
    const spilled = {
      timers: this.#spill(timers, lists.timers),
      messages: this.#spill(messages, lists.messages),
    };
    return { execution: smaller, body: encodeHead(smaller, spilled) };
  }

  /** In the head, or in a part, which is written anew when the list has changed. */
  #listText<Name extends "timers" | "messages">(
    name: Name,
    encode: (list: ExecutionRecord[Name]) => string,
  ): Text {
    const { spilled, group } = this.#options;
    const list = this.record[name];
    const known = spilled.get(list);
    if (known !== undefined) return known;
    this.drop(spilled.get(group.execution?.[name] ?? list));
    return list.length <= listedMax ? encode(list) : this.#spill(list, encode(list));
  }

  #spill(list: object, text: Text): Text {
    if (typeof text !== "string") return text;
    const spilled = this.text(text);
    this.#options.spilled.set(list, spilled);
    return spilled;
  }
}
