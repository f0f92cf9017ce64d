/** Dumps of a SQLite store, and what they restore. */
import type { Database } from "bun:sqlite";
import { defined } from "../../base/defined.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import { type DumpKind, type DumpRows, dumpRowsMax, restoredPlace, takeRows } from "../kit/dump.ts";
import { toListing } from "../kit/lists.ts";
import { dueOf } from "../kit/task-life.ts";
import type {
  DumpedHead,
  DumpedMessage,
  DumpedTask,
  DumpRequest,
  ExecutionDump,
  Listing,
  RestoreRequest,
} from "../store.ts";
import { Contents } from "./contents.ts";
import { type HeadRow, type Heads, keptOf } from "./heads.ts";
import type { LoneSlots } from "./lone-slots.ts";
import { historyKey, historySequenceMax, taskState } from "./schema.ts";
import { type TaskRow, taskLife } from "./task-row.ts";

type TermsRow = Omit<DumpedTask, "state" | "until" | "queueLeft" | "lease">;

interface StoredHead extends Omit<Listing, "inline"> {
  readonly isInline: number | null;
  readonly held: number;
  readonly state: string;
}

/** What an execution owns, in tables of its own. */
const owned = ["tasks", "timers", "messages", "fields"] as const;

function prepareStatements(database: Database) {
  const terms = `id, queue, priority, timeout_ms AS timeoutMs, heartbeat_ms AS heartbeatMs, header,
    parameters, queued_at AS queuedAt`;
  const life = `state, until, queue_left AS queueLeft, token, worker_id AS workerId,
    leased_at AS leasedAt, deadline, number`;
  return {
    selectIds: database.prepare(
      "SELECT id FROM executions WHERE partition = ? AND id > ? ORDER BY id LIMIT ?",
    ),
    selectHead: database.prepare<StoredHead, [number]>(`
      SELECT id, workflow, version, status, started_at AS startedAt, ended_at AS endedAt,
        correlation_id AS correlationId, parent, is_inline AS isInline, held, state
      FROM executions JOIN states ON execution = number WHERE number = ?`),
    selectLog: database.prepare("SELECT log FROM states WHERE execution = ?"),
    selectTasks: database.prepare<TermsRow & TaskRow, [number, number]>(
      `SELECT ${terms}, ${life} FROM tasks WHERE execution = ? ORDER BY place LIMIT -1 OFFSET ?`,
    ),
    selectTimers: database.prepare<{ id: string; at: number }, [number, number]>(
      "SELECT id, at FROM timers WHERE execution = ? ORDER BY number LIMIT -1 OFFSET ?",
    ),
    selectMessages: database.prepare<DumpedMessage, [number, number]>(`
      SELECT id, body, deliveries FROM messages WHERE execution = ?
      ORDER BY number LIMIT -1 OFFSET ?`),
    deleteRows: [
      ...owned.map((table) => database.prepare(`DELETE FROM ${table} WHERE execution = ?1`)),
      database.prepare(`DELETE FROM history
        WHERE number > ${historyKey("?1", 0)} AND number <= ${historyKey("?1", historySequenceMax)}`),
      database.prepare("DELETE FROM states WHERE execution = ?1"),
      database.prepare("DELETE FROM executions WHERE number = ?1"),
    ],
    countTombstones: database.prepare(
      "UPDATE settings SET value = value + ? WHERE name = 'tombstones'",
    ),
    insertExecution: database.prepare(`
      INSERT INTO executions (partition, id, workflow, version, status, started_at, ended_at,
        correlation_id, created_by, request_hash, parent, is_inline, tombstone_until, is_paired)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)`),
    insertState: database.prepare(`
      INSERT INTO states (execution, revision, commit_id, held, history, state)
      VALUES (?, ?, ?, ?, 0, ?)`),
    putField: database.prepare(`
      INSERT OR REPLACE INTO fields (execution, name, value) VALUES (?, ?, ?)`),
    putHistory: database.prepare(`
      INSERT OR REPLACE INTO history (number, entry) VALUES (${historyKey("?1", "?2")}, ?3)`),
    countHistory: database.prepare("UPDATE states SET history = ? WHERE execution = ?"),
    putTask: database.prepare(`
      INSERT OR REPLACE INTO tasks (execution, partition, state, held, priority, place, due, until,
        queue_left, deadline, leased_at, queued_at, timeout_ms, heartbeat_ms, worker_id, queue, id,
        token, header, parameters)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`),
    putTimer: database.prepare(`
      INSERT OR REPLACE INTO timers (execution, partition, due, at, id) VALUES (?1, ?2, ?3, ?3, ?4)`),
    putMessage: database.prepare(`
      INSERT OR REPLACE INTO messages (execution, partition, visible_at, deliveries, id, body)
      VALUES (?, ?, ?, ?, ?, ?)`),
  };
}

export class Transfer {
  readonly #heads: Heads;
  readonly #loneSlots: LoneSlots;
  readonly #contents: Contents;
  readonly #sql: ReturnType<typeof prepareStatements>;

  constructor(options: {
    readonly database: Database;
    readonly heads: Heads;
    readonly loneSlots: LoneSlots;
  }) {
    this.#heads = options.heads;
    this.#loneSlots = options.loneSlots;
    this.#contents = new Contents(options.database);
    this.#sql = prepareStatements(options.database);
  }

  ids({ partition, after = "", limit }: DumpRequest): string[] {
    return this.#sql.selectIds.values(partition, after, limit).map(([id]) => id as string);
  }

  head(key: ExecutionKey): DumpedHead | undefined {
    const row = this.#heads.find(key);
    if (row === undefined) return undefined;
    const head = { revision: row.revision, commitId: row.commitId };
    if (row.tombstoneUntil !== null) {
      const until = row.tombstoneUntil;
      return { kind: "tombstone", head, until, ...defined({ kept: keptOf(row) }) };
    }
    const { held, state, ...listed } = this.#sql.selectHead.get(row.number)!;
    return {
      kind: "execution",
      head,
      recentCommitIds: row.recent,
      createdBy: row.createdBy,
      listing: toListing(listed as Parameters<typeof toListing>[0]),
      held: held === 1,
      state,
      ...defined({ requestHash: row.requestHash ?? undefined }),
    };
  }

  rows<Kind extends DumpKind>(key: ExecutionKey, kind: Kind, skip: number): DumpRows[Kind][] {
    const row = this.#heads.live(key);
    if (row === undefined) return [];
    this.#loneSlots.moveOut(row, key);
    const { number } = row;
    const all: { [One in DumpKind]: () => Iterable<DumpRows[One]> } = {
      fields: () => this.#fields(number, skip),
      history: () => this.#contents.history(row, { after: skip, limit: dumpRowsMax }),
      tasks: () => this.#sql.selectTasks.all(number, skip).map(dumpedTask),
      timers: () => this.#sql.selectTimers.all(number, skip),
      messages: () => this.#sql.selectMessages.all(number, skip),
    };
    return takeRows(all[kind](), 0);
  }

  *#fields(execution: number, skip: number): Iterable<DumpRows["fields"]> {
    const [log] = this.#sql.selectLog.values(execution)[0] as [string];
    for (const name of this.#contents.names(execution, log).slice(skip)) {
      yield [name, this.#contents.fields(execution, log, [name]).get(name)!];
    }
  }

  restore({ key, piece, now }: RestoreRequest): void {
    if (piece.first !== undefined) this.#begin(key, piece.first, now);
    const row = this.#heads.live(key);
    if (row === undefined) return;
    const { number } = row;
    for (const [name, value] of piece.fields) this.#sql.putField.run(number, name, value);
    this.#restoreHistory(number, piece.history);
    this.#restoreTasks(row, key, piece.tasks);
    for (const { id, at } of piece.timers) {
      this.#sql.putTimer.run(number, key.partition, at, id);
    }
    for (const { id, body, deliveries } of piece.messages) {
      this.#sql.putMessage.run(number, key.partition, now, deliveries, id, body);
    }
    this.#heads.forget(key);
  }

  /** What an interrupted restoration has left is replaced. */
  #begin(key: ExecutionKey, first: DumpedHead, now: number): void {
    const known = this.#heads.find(key);
    if (known !== undefined) {
      if (known.tombstoneUntil !== null) this.#sql.countTombstones.run(-1);
      for (const statement of this.#sql.deleteRows) statement.run(known.number);
      this.#heads.forget(key);
      this.#loneSlots.forgetAll();
    }
    if (first.kind === "tombstone" && first.until <= now) return;
    const { revision, commitId } = first.head;
    const { lastInsertRowid } = this.#sql.insertExecution.run(
      key.partition,
      key.id,
      ...columns(first),
    );
    const [held, state] = first.kind === "tombstone" ? [0, ""] : [first.held ? 1 : 0, first.state];
    this.#sql.insertState.run(lastInsertRowid, revision, commitId, held, state);
    if (first.kind === "tombstone") this.#sql.countTombstones.run(1);
  }

  #restoreHistory(execution: number, { after, items }: ExecutionDump["history"]): void {
    if (items.length === 0) return;
    for (const [i, entry] of items.entries()) {
      this.#sql.putHistory.run(execution, Math.min(after + i + 1, historySequenceMax), entry);
    }
    this.#sql.countHistory.run(after + items.length, execution);
  }

  #restoreTasks(row: HeadRow, key: ExecutionKey, { after, items }: ExecutionDump["tasks"]): void {
    for (const [i, task] of items.entries()) {
      const { id, queue, priority, timeoutMs, heartbeatMs, queuedAt, state, lease } = task;
      const isHeld = row.held && state === "queued";
      this.#sql.putTask.run(
        ...[row.number, key.partition, taskState[state], isHeld ? 1 : 0, priority],
        ...[restoredPlace(queuedAt, after + i), dueOf(task), task.until, task.queueLeft],
        ...[lease?.deadline ?? null, lease?.leasedAt ?? null, queuedAt, timeoutMs, heartbeatMs],
        ...[lease?.workerId ?? null, queue, id, lease?.token ?? null, task.header],
        ...[task.parameters],
      );
    }
  }
}

/** From the workflow to the end of the tombstone. */
function columns(first: DumpedHead): (string | number | null)[] {
  if (first.kind === "tombstone") {
    const { status = "COMPLETED", endedAt, requestHash } = first.kept ?? {};
    const nothing = [null, "", requestHash ?? null, null, null];
    return ["", 0, status, 0, endedAt ?? null, ...nothing, first.until];
  }
  const { listing, createdBy, requestHash } = first;
  const { workflow, version, status, startedAt, endedAt, correlationId, parent, inline } = listing;
  return [
    ...[workflow, version, status, startedAt, endedAt ?? null, correlationId ?? null],
    ...[createdBy, requestHash ?? null, parent ?? null, inline === true ? 1 : null, null],
  ];
}

function dumpedTask(row: TermsRow & TaskRow): DumpedTask {
  const { id, queue, priority, timeoutMs, heartbeatMs, header, parameters, queuedAt } = row;
  const terms = { id, queue, priority, timeoutMs, heartbeatMs, header, parameters, queuedAt };
  return { ...terms, ...taskLife(row) };
}
