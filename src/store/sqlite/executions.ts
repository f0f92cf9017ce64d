/** Executions in SQLite: create, load and commit. */

import type { Database } from "bun:sqlite";
import { type ExecutionStatus, isOpen } from "../../model/execution.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import { createBuried, createFinds, refuseCommit, withCommitId } from "../kit/heads.ts";
import type {
  CommitAnswer,
  CommitRequest,
  CreateAnswer,
  CreateRequest,
  LoadAnswer,
  LoadRequest,
  StoreEffects,
} from "../store.ts";
import { Contents } from "./contents.ts";
import { type HeadRow, type Heads, keptOf } from "./heads.ts";
import type { LoneSlots } from "./lone-slots.ts";
import type { Messages } from "./messages.ts";
import type { Removal } from "./removal.ts";
import type { Tasks } from "./tasks.ts";
import type { Timers } from "./timers.ts";

function prepareStatements(database: Database) {
  return {
    insertExecution: database.prepare(`
      INSERT OR IGNORE INTO executions (partition, id, workflow, version, status, started_at, ended_at,
        correlation_id, created_by, request_hash, parent, is_inline, is_paired)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)`),
    insertState: database.prepare(`
      INSERT INTO states (execution, revision, commit_id, held, history, state, lease, log)
      VALUES (?, 1, ?, 0, ?, ?, ?, ?)`),
    updateState: database.prepare(`
      UPDATE states SET revision = ?, commit_id = ?, held = ?, history = ?, state = ?,
        lease = ?, log = log || ?
      WHERE execution = ?`),
    updateStateAndLog: database.prepare(`
      UPDATE states SET revision = ?, commit_id = ?, held = ?, history = ?, state = ?,
        lease = ?, log = ?
      WHERE execution = ?`),
    updateStatus: database.prepare(
      "UPDATE executions SET status = ?, ended_at = ? WHERE number = ?",
    ),
    selectState: database.prepare("SELECT state, log FROM states WHERE execution = ?"),
  };
}

export class Executions {
  readonly #heads: Heads;
  readonly #tasks: Tasks;
  readonly #timers: Timers;
  readonly #messages: Messages;
  readonly #removal: Removal;
  readonly #loneSlots: LoneSlots;
  readonly #contents: Contents;
  readonly #sql: ReturnType<typeof prepareStatements>;

  constructor(options: {
    readonly database: Database;
    readonly heads: Heads;
    readonly tasks: Tasks;
    readonly timers: Timers;
    readonly messages: Messages;
    readonly removal: Removal;
    readonly loneSlots: LoneSlots;
  }) {
    this.#heads = options.heads;
    this.#tasks = options.tasks;
    this.#timers = options.timers;
    this.#messages = options.messages;
    this.#removal = options.removal;
    this.#loneSlots = options.loneSlots;
    this.#contents = new Contents(options.database);
    this.#sql = prepareStatements(options.database);
  }

  create(request: CreateRequest): CreateAnswer {
    const { key, now } = request;
    // Most ids are new: the insertion itself is the look-up.
    const inserted = this.#heads.knows(key) ? undefined : this.#insert(request);
    if (inserted !== undefined) return this.#fill(inserted, request);
    const known = this.#heads.find(key);
    if (known !== undefined && known.tombstoneUntil !== null) {
      const isOver = now >= known.tombstoneUntil && this.#removal.purge(key, known.number);
      if (!isOver) return createBuried(keptOf(known));
    } else if (known !== undefined) {
      const { revision, commitId } = known;
      const requestHash = known.requestHash ?? undefined;
      return createFinds({ ...known, head: { revision, commitId }, requestHash }, request);
    }
    const row = this.#insert(request);
    if (row === undefined) throw new Error(`the record of ${key.id} is in the way of itself`);
    return this.#fill(row, request);
  }

  #fill(row: HeadRow, request: CreateRequest): CreateAnswer {
    const { key, commitId, state } = request;
    const { data, effects } = request;
    const { append } = this.#contents.add(row, { data, history: effects.history });
    this.#apply(row, key, request);
    const lease = row.lease?.text ?? null;
    this.#sql.insertState.run(row.number, commitId, row.history, state, lease, append);
    this.#heads.add(key, row);
    this.#keepOpenOnly(row, key, request.listing.status);
    return { outcome: "created", head: { revision: 1, commitId } };
  }

  /** Leases in rows of ended executions would not be found again: see LoneSlots. */
  #keepOpenOnly(row: HeadRow, key: ExecutionKey, status: ExecutionStatus): void {
    if (!isOpen(status)) this.#loneSlots.moveOut(row, key);
  }

  load(request: LoadRequest): LoadAnswer {
    const row = this.#heads.find(request.key);
    if (row === undefined) return { outcome: "not_found" };
    if (row.tombstoneUntil !== null) return { outcome: "tombstone" };
    const [state, log] = this.#sql.selectState.values(row.number)[0] as [string, string];
    const data = this.#contents.fields(row.number, log, request.fields);
    return {
      outcome: "loaded",
      head: { revision: row.revision, commitId: row.commitId },
      recentCommitIds: row.recent,
      status: row.status,
      held: row.held,
      state,
      data,
    };
  }

  commit(request: CommitRequest): CommitAnswer {
    const { key, commitId, hold, now } = request;
    const row = this.#heads.live(key);
    if (row === undefined) return { outcome: "not_found" };
    const head = { revision: row.revision, commitId: row.commitId };
    const refused = refuseCommit(head, row.recent, request);
    if (refused !== undefined) return refused;
    if (this.#loneSlots.endsWith(row, request)) this.#loneSlots.end(row);
    else {
      this.#loneSlots.makeWay(row, request);
      const stale = this.#end(row, request);
      if (stale !== undefined) return stale;
    }
    if (hold !== undefined && hold !== row.held) {
      this.#tasks.setHeld(row.number, { held: hold, now });
      row.held = hold;
    }
    this.#apply(row, key, request);
    this.#advance(row, request);
    this.#keepOpenOnly(row, key, request.status);
    return { outcome: "committed", head: { revision: row.revision, commitId } };
  }

  history(
    row: HeadRow,
    request: { readonly after: number; readonly limit: number },
  ): readonly string[] {
    return this.#contents.history(row, request);
  }

  /** Undefined when an execution with this id exists. */
  #insert(request: CreateRequest): HeadRow | undefined {
    const { key, commitId, listing } = request;
    const requestHash = request.requestHash ?? null;
    const endedAt = listing.endedAt ?? null;
    const { changes, lastInsertRowid } = this.#sql.insertExecution.run(
      ...[key.partition, key.id, listing.workflow, listing.version, listing.status],
      ...[listing.startedAt, endedAt, listing.correlationId ?? null, commitId, requestHash],
      ...[listing.parent ?? null, listing.inline === true ? 1 : null],
    );
    if (changes === 0) return undefined;
    const number = Number(lastInsertRowid);
    return {
      number,
      createdBy: commitId,
      requestHash,
      revision: 1,
      commitId,
      recent: [commitId],
      held: false,
      history: 0,
      logChars: 0,
      lease: undefined,
      tasksMax: 0,
      status: listing.status,
      endedAt,
      tombstoneUntil: null,
    };
  }

  /**
   * Removes what the commit ends. Each deletion carries its own check, so a single one, the usual
   * case, needs no look before; several are looked at first, as all or none may go.
   */
  #end(row: HeadRow, request: CommitRequest): CommitAnswer | undefined {
    const { settle, expire, consumeTimers } = request;
    const execution = row.number;
    const isSingle = settle.length + expire.length + consumeTimers.length === 1;
    const tasks: string[] = [];
    const timers: string[] = [];
    if (!isSingle) {
      tasks.push(...this.#tasks.stale(execution, request));
      timers.push(...this.#timers.stale(execution, consumeTimers));
      if (tasks.length > 0 || timers.length > 0) return { outcome: "stale", tasks, timers };
    }
    for (const ended of settle) {
      if (this.#tasks.settle(execution, ended)) row.tasksMax -= 1;
      else if (isSingle) tasks.push(ended.taskId);
    }
    for (const ended of expire) {
      if (this.#tasks.expire(execution, ended)) row.tasksMax -= 1;
      else if (isSingle) tasks.push(ended.taskId);
    }
    for (const ended of consumeTimers) {
      if (!this.#timers.consume(execution, ended) && isSingle) timers.push(ended.id);
    }
    if (tasks.length > 0 || timers.length > 0) return { outcome: "stale", tasks, timers };
    return undefined;
  }

  /** All drops come before all additions: a commit may replace what it ends. */
  #apply(
    row: HeadRow,
    key: ExecutionKey,
    request: { readonly effects: StoreEffects; readonly now: number },
  ): void {
    const { effects, now } = request;
    for (const id of effects.dropTasks) this.#tasks.drop(row.number, id);
    for (const id of effects.dropTimers) this.#timers.drop(row.number, id);
    const owner = { execution: row.number, partition: key.partition, held: row.held };
    const fitting = this.#loneSlots.fitting(row, effects.tasks);
    if (fitting !== undefined) this.#loneSlots.keep(row, key, fitting, now);
    else {
      row.tasksMax += effects.tasks.length;
      for (const task of effects.tasks) this.#tasks.add(owner, task, now);
    }
    for (const timer of effects.timers) this.#timers.add(owner, timer);
    for (const message of effects.messages) this.#messages.add(owner, message, now);
  }

  #advance(row: HeadRow, request: CommitRequest): void {
    const { commitId, status, state } = request;
    const endedAt = request.endedAt ?? null;
    row.revision++;
    row.commitId = commitId;
    row.recent = withCommitId(row.recent, commitId);
    const { data, effects } = request;
    const { empty, append } = this.#contents.add(row, { data, history: effects.history });
    const statement = empty ? this.#sql.updateStateAndLog : this.#sql.updateState;
    statement.run(
      ...[row.revision, commitId, row.held ? 1 : 0, row.history, state, row.lease?.text ?? null],
      ...[append, row.number],
    );
    if (status === row.status && endedAt === row.endedAt) return;
    this.#sql.updateStatus.run(status, endedAt, row.number);
    row.status = status;
    row.endedAt = endedAt;
  }
}
