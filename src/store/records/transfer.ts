/** Dumps of the records store, and what they restore; no server runs meanwhile. */
import { defined } from "../../base/defined.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import {
  type DumpKind,
  type DumpRows,
  dumpPage,
  dumpRowsMax,
  firstAfter,
  takeRows,
} from "../kit/dump.ts";
import { compareText } from "../kit/order.ts";
import type {
  DumpAnswer,
  DumpedHead,
  DumpedTask,
  DumpRequest,
  ExecutionDump,
  RestoreRequest,
} from "../store.ts";
import { type Beginning, begin } from "./beginnings.ts";
import { type Edit, stateCharsMax } from "./edit.ts";
import { lifeOf, setTimers, standInOutbox } from "./effects.ts";
import { readFields, writeFields } from "./fields.ts";
import { dueShelf, readHint } from "./hints.ts";
import { appendHistory, noHistory, readHistory } from "./history.ts";
import { fromLife, isHeld, neverHeld } from "./holds.ts";
import { enterLists, listedIds } from "./listings.ts";
import type { ExecutionRecord, Group, TaskRecord } from "./model.ts";
import type { Records } from "./records.ts";
import type { Removals } from "./removals.ts";

const pageMax = 500;
/** Tasks restored by one change. */
const tasksTogether = 50;

/** What a dump of a partition has read and needs again; several partitions may be dumped at once. */
interface Dumping {
  ids?: readonly string[];
  /** The execution that it has come to. */
  current?: Current;
}

interface Current {
  readonly id: string;
  readonly group: Group;
  rows?: Rows;
}

/** All of an execution that `takeRows` takes a piece of. */
type Rows = { readonly [Kind in Exclude<DumpKind, "history">]: readonly DumpRows[Kind][] };

export class Transfer {
  readonly #records: Records;
  readonly #removals: Removals;
  readonly #dumping = new Map<number, Dumping>();

  constructor(records: Records, removals: Removals) {
    this.#records = records;
    this.#removals = removals;
  }

  async dump(request: DumpRequest): Promise<DumpAnswer> {
    const { partition, after } = request;
    const known = after === undefined ? undefined : this.#dumping.get(partition);
    const dumping: Dumping = known ?? {};
    this.#dumping.set(partition, dumping);
    const answer = await dumpPage(
      {
        ids: async (wanted) => {
          dumping.ids ??= await this.#sortedIds(partition);
          const first = firstAfter(dumping.ids, wanted.after);
          return dumping.ids.slice(first, first + wanted.limit);
        },
        head: async (key) => await this.#head(key, await this.#come(dumping, key)),
        rows: async (key, kind, skip) => {
          const { current } = dumping;
          const here = current?.id === key.id ? current : await this.#come(dumping, key);
          return await this.#rows(key, here, { kind, skip });
        },
      },
      request,
    );
    if (answer.next === undefined) this.#dumping.delete(partition);
    return answer;
  }

  /** An execution is read once, with all that it owns. */
  async #come(dumping: Dumping, key: ExecutionKey): Promise<Current> {
    const group = await this.#records.read(key, { rows: "all" });
    dumping.current = { id: key.id, group };
    return dumping.current;
  }

  async #sortedIds(partition: number): Promise<readonly string[]> {
    const ids = new Set(await listedIds(this.#records, partition));
    for (const id of await this.#dueIds(partition)) ids.add(id);
    return [...ids].sort(compareText);
  }

  /** Tombstones stand in no list: they are due at their end. */
  async #dueIds(partition: number): Promise<ReadonlySet<string>> {
    const ids = new Set<string>();
    const request = { shelf: dueShelf(partition), limit: pageMax };
    for (let page = await this.#records.driver.shelves.scan(request); ; ) {
      for (const entry of page.entries) ids.add(readHint(entry).id);
      const after = page.entries.at(-1)?.place;
      if (!page.more || after === undefined) return ids;
      page = await this.#records.driver.shelves.scan({ ...request, after });
    }
  }

  async #head(key: ExecutionKey, { group }: Current): Promise<DumpedHead | undefined> {
    const { execution } = group;
    if (execution === undefined) return undefined;
    const { head, recentCommitIds, createdBy, requestHash, listing, hold, grave } = execution;
    if (grave !== undefined) {
      return { kind: "tombstone", head, until: grave.until, ...defined({ kept: grave.kept }) };
    }
    const [state = ""] = await this.#records.texts.read(key, [execution.state]);
    const always = { head, recentCommitIds, createdBy, listing, held: isHeld(hold), state };
    return { kind: "execution", ...always, ...defined({ requestHash }) };
  }

  async #rows<Kind extends DumpKind>(
    key: ExecutionKey,
    current: Current,
    { kind, skip }: { readonly kind: Kind; readonly skip: number },
  ): Promise<readonly DumpRows[Kind][]> {
    if (kind === "history") {
      const { history = noHistory } = current.group.execution ?? {};
      const page = { after: skip, limit: dumpRowsMax };
      const entries = await readHistory(this.#records.texts, key, history, page);
      return takeRows(entries, 0) as DumpRows[Kind][];
    }
    current.rows ??= await this.#allRows(key, current.group);
    return takeRows(current.rows[kind as keyof Rows] as readonly DumpRows[Kind][], skip);
  }

  async #allRows(key: ExecutionKey, group: Group): Promise<Rows> {
    const { texts } = this.#records;
    const { execution } = group;
    if (execution === undefined) return { fields: [], tasks: [], timers: [], messages: [] };
    const bodies = await texts.read(
      key,
      execution.messages.map(({ body }) => body),
    );
    const fields = await readFields(texts, key, execution.fields);
    return {
      fields: [...fields].sort(([a], [b]) => compareText(a, b)),
      tasks: await this.#tasks(key, group),
      timers: execution.timers.map(({ id, at }) => ({ id, at })),
      messages: execution.messages.map(({ id, deliveries }, i) => {
        return { id, body: bodies[i] as string, deliveries };
      }),
    };
  }

  async #tasks(key: ExecutionKey, { execution, rows }: Group): Promise<readonly DumpedTask[]> {
    const { lone } = execution as ExecutionRecord;
    const inRows = [...rows.values()].map(({ task }) => task);
    const tasks = [...(lone === undefined ? [] : [lone]), ...inRows];
    return await Promise.all(
      tasks
        .sort((a, b) => a.sequence - b.sequence)
        .map(async (task) => {
          const { id, queue, priority, timeoutMs, heartbeatMs, queuedAt } = task;
          const texts = await this.#records.texts.read(key, [task.header, task.parameters]);
          const [header = "", parameters = ""] = texts;
          const terms = { id, queue, priority, timeoutMs, heartbeatMs, header, parameters };
          return { ...terms, queuedAt, ...lifeOf(task, execution as ExecutionRecord) };
        }),
    );
  }

  // Restoring

  async restore(request: RestoreRequest): Promise<void> {
    const { key, piece, now } = request;
    if (piece.first !== undefined) await this.#begin(request, piece.first);
    const { texts } = this.#records;
    await this.#records.update({ key, now }, async (edit) => {
      if (edit.execution === undefined || edit.execution.grave !== undefined) return;
      await writeFields(edit, texts, new Map(piece.fields));
      await this.#restoreHistory(edit, piece.history);
      setTimers(edit, { timers: piece.timers, dropTimers: [] });
      restoreMessages(edit, piece);
    });
    const { after, items } = piece.tasks;
    for (let at = 0; at < items.length; at += tasksTogether) {
      const some = items.slice(at, at + tasksTogether);
      const rows = some.map(({ id }) => id);
      await this.#records.update({ key, now, rows }, (edit) => {
        if (edit.execution === undefined) return;
        for (const [i, task] of some.entries()) restoreTask(edit, task, after + at + i);
      });
    }
  }

  /** What an interrupted restoration has left is replaced. */
  async #begin({ key, now }: RestoreRequest, first: DumpedHead): Promise<void> {
    const records = this.#records;
    await this.#bury(key, now);
    if (first.kind === "tombstone" && first.until <= now) return;
    const group = await records.read(key);
    const { commitId } = first.head;
    const edit = records.edit({ key, group, now, commitId, isCreation: true });
    const end = records.ids.next();
    begin(edit, end, first.kind === "tombstone" ? buried(key, first) : live(edit, first));
    if (first.kind === "execution") enterLists(edit);
    const draft = edit.close();
    if (draft !== null) await records.apply(draft);
  }

  /** Leaves a tombstone that ends at once. */
  async #bury(key: ExecutionKey, now: number): Promise<void> {
    const { execution } = await this.#records.read(key);
    if (execution === undefined || execution.grave?.isEmpty) return;
    const request = { key, expected: execution.head, tombstoneUntil: now, now };
    while ((await this.#removals.remove(request)) === "more") {}
  }

  async #restoreHistory(edit: Edit, { after, items }: ExecutionDump["history"]): Promise<void> {
    const { texts } = this.#records;
    const { history } = edit.record;
    const page = { after: 0, limit: Number.POSITIVE_INFINITY };
    const known = history.blocks.reduce((sum, { count }) => sum + count, history.recent.length);
    if (known > after) {
      const kept = (await readHistory(texts, edit.key, history, page)).slice(0, after);
      edit.change({ history: noHistory });
      await appendHistory(edit, texts, kept);
    }
    await appendHistory(edit, texts, items);
  }
}

function live(edit: Edit, first: DumpedHead & { readonly kind: "execution" }): Beginning {
  const { head, recentCommitIds, createdBy, requestHash, listing } = first;
  const hold = first.held ? { before: 0, from: edit.now } : neverHeld;
  const state = edit.text(first.state, stateCharsMax);
  const always = { head, recentCommitIds, createdBy, requestHash, listing, hold, state };
  return { ...always, grave: undefined };
}

function buried(
  { id }: ExecutionKey,
  first: DumpedHead & { readonly kind: "tombstone" },
): Beginning {
  const { head, until, kept } = first;
  const status = kept?.status ?? "COMPLETED";
  const listing = { id, workflow: "", version: 0, status, startedAt: 0 };
  const none = { recentCommitIds: [], createdBy: "", requestHash: undefined };
  return {
    ...none,
    head,
    listing,
    hold: neverHeld,
    state: "",
    grave: { until, kept, isEmpty: true },
  };
}

function restoreMessages(edit: Edit, { messages }: ExecutionDump): void {
  if (messages.length === 0) return;
  const ids = new Set(messages.map(({ id }) => id));
  const kept = edit.record.messages.filter(({ id }) => !ids.has(id));
  const { sequence } = edit.record;
  const added = messages.map(({ id, body, deliveries }, i) => {
    const state = { deliveries, visibleAt: edit.now, claimId: undefined };
    return { id, body: edit.text(body), sequence: sequence + i, ...state };
  });
  edit.change({ messages: [...kept, ...added], sequence: sequence + added.length });
  standInOutbox(edit, { isFollowed: false });
}

/** Into a row, under the place in its queue that it had. */
function restoreTask(edit: Edit, dumped: DumpedTask, sequence: number): void {
  const { state, until, queueLeft, lease, header, parameters, ...terms } = dumped;
  const known = edit.task(dumped.id);
  if (known !== undefined) edit.deleteTask(known);
  const isCounted = state !== "dropped" && (known === undefined || known.life.state === "dropped");
  const { rows, hold, sequence: next } = edit.record;
  const task: TaskRecord = {
    ...terms,
    header: edit.text(header),
    parameters: edit.text(parameters),
    sequence,
    life: fromLife({ state, until, queueLeft, lease }, hold),
    hiding: undefined,
    place: undefined,
  };
  edit.change({
    rows: isCounted ? rows + 1 : rows,
    isWide: true,
    sequence: Math.max(next, sequence + 1),
  });
  edit.addRow(state === "queued" ? edit.post(task, dumped.queuedAt) : task);
}
