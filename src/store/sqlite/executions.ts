/** Executions in SQLite: create, load and commit. */
import type { Database } from "bun:sqlite";
import { limits } from "../../limits.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import type {
  CommitAnswer,
  CommitRequest,
  CreateAnswer,
  CreateRequest,
  HandOff,
  LoadAnswer,
  LoadRequest,
  StoreEffects,
} from "../store.ts";
import { type HeadRow, type Heads, joinCommitIds, sameHead } from "./heads.ts";
import type { Messages } from "./messages.ts";
import type { Removal } from "./removal.ts";
import { historyRoom } from "./schema.ts";
import type { Tasks } from "./tasks.ts";
import type { Timers } from "./timers.ts";

function prepareStatements(database: Database) {
  return {
    insertExecution: database.prepare(`
      INSERT OR IGNORE INTO executions (partition, id, workflow, version, status, started_at, ended_at,
        correlation_id, created_by, request_hash)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`),
    insertState: database.prepare(`
      INSERT INTO states (execution, revision, commit_id, recent, held, history, state)
      VALUES (?, 1, ?, ?, 0, ?, ?)`),
    updateState: database.prepare(`
      UPDATE states SET revision = ?, commit_id = ?, recent = ?, held = ?, history = ?, state = ?
      WHERE execution = ?`),
    updateStatus: database.prepare(
      "UPDATE executions SET status = ?, ended_at = ? WHERE number = ?",
    ),
    selectState: database.prepare("SELECT state FROM states WHERE execution = ?"),
    putField: database.prepare(`
      INSERT INTO fields (execution, name, value) VALUES (?, ?, ?)
      ON CONFLICT (execution, name) DO UPDATE SET value = excluded.value`),
    deleteField: database.prepare("DELETE FROM fields WHERE execution = ? AND name = ?"),
    selectField: database.prepare("SELECT value FROM fields WHERE execution = ? AND name = ?"),
    selectFields: database.prepare("SELECT name, value FROM fields WHERE execution = ?"),
    insertHistory: database.prepare("INSERT INTO history (number, entry) VALUES (?, ?)"),
    selectHistory: database.prepare(`
      SELECT entry FROM history WHERE number > ? AND number < ? ORDER BY number LIMIT ?`),
  };
}

type NewTask = StoreEffects["tasks"][number];

/** The new task that may take the row of the one that a commit settles: see Tasks.succeed. */
function successorOf(request: CommitRequest, held: boolean) {
  const { settle, expire, consumeTimers, hold, effects } = request;
  if (settle.length !== 1 || expire.length > 0 || consumeTimers.length > 0) return undefined;
  if (held || hold !== undefined || effects.dropTasks.length > 0) return undefined;
  const [task] = effects.tasks;
  return task !== undefined && isLeased(task) ? task : undefined;
}

function isLeased(task: NewTask): task is NewTask & { readonly lease: HandOff } {
  return task.lease !== undefined;
}

export class Executions {
  readonly #heads: Heads;
  readonly #tasks: Tasks;
  readonly #timers: Timers;
  readonly #messages: Messages;
  readonly #removal: Removal;
  readonly #sql: ReturnType<typeof prepareStatements>;

  constructor(options: {
    readonly database: Database;
    readonly heads: Heads;
    readonly tasks: Tasks;
    readonly timers: Timers;
    readonly messages: Messages;
    readonly removal: Removal;
  }) {
    this.#heads = options.heads;
    this.#tasks = options.tasks;
    this.#timers = options.timers;
    this.#messages = options.messages;
    this.#removal = options.removal;
    this.#sql = prepareStatements(options.database);
  }

  create(request: CreateRequest): CreateAnswer {
    const { key, commitId, now } = request;
    // Most ids are new: the insertion itself is the look-up.
    const inserted = this.#heads.knows(key) ? undefined : this.#insert(request);
    if (inserted !== undefined) return this.#fill(inserted, request);
    const known = this.#heads.find(key);
    if (known !== undefined && known.tombstoneUntil !== null) {
      if (now < known.tombstoneUntil) return { outcome: "tombstone" };
      if (!this.#removal.purge(key, known.number)) return { outcome: "tombstone" };
    } else if (known !== undefined) {
      const { createdBy, revision, status, requestHash } = known;
      if (createdBy === commitId) return { outcome: "created", head: { revision: 1, commitId } };
      const head = { revision, commitId: known.commitId };
      return { outcome: "exists", head, status, ...(requestHash !== null && { requestHash }) };
    }
    const row = this.#insert(request);
    if (row === undefined) throw new Error(`the record of ${key.id} is in the way of itself`);
    return this.#fill(row, request);
  }

  #fill(row: HeadRow, request: CreateRequest): CreateAnswer {
    const { key, commitId } = request;
    for (const [name, value] of request.data) this.#sql.putField.run(row.number, name, value);
    this.#apply(row, key, request);
    this.#heads.add(key, row);
    return { outcome: "created", head: { revision: 1, commitId } };
  }

  load(request: LoadRequest): LoadAnswer {
    const row = this.#heads.find(request.key);
    if (row === undefined) return { outcome: "not_found" };
    if (row.tombstoneUntil !== null) return { outcome: "tombstone" };
    const state = this.#sql.selectState.values(row.number)[0]?.[0] as string;
    const data = new Map<string, string>();
    if (request.fields === undefined) {
      for (const [name, value] of this.#sql.selectFields.values(row.number)) {
        data.set(name as string, value as string);
      }
    }
    for (const name of request.fields ?? []) {
      const value = this.#sql.selectField.values(row.number, name)[0]?.[0];
      if (value !== undefined) data.set(name, value as string);
    }
    return {
      ...{ outcome: "loaded", head: { revision: row.revision, commitId: row.commitId } },
      ...{ recentCommitIds: row.recent, status: row.status, held: row.held, state, data },
    };
  }

  commit(request: CommitRequest): CommitAnswer {
    const { key, commitId, hold, now } = request;
    const row = this.#heads.live(key);
    if (row === undefined) return { outcome: "not_found" };
    const head = { revision: row.revision, commitId: row.commitId };
    if (row.recent.includes(commitId)) return { outcome: "already_committed", head };
    if (!sameHead(row, request.expected)) return { outcome: "conflict", head };
    const successor = successorOf(request, row.held);
    if (successor !== undefined) {
      const settled = request.settle[0]!;
      if (!this.#tasks.succeed(row.number, settled, successor, now)) {
        return { outcome: "stale", tasks: [settled.taskId], timers: [] };
      }
    } else {
      const stale = this.#end(row.number, request);
      if (stale !== undefined) return stale;
    }

    if (hold !== undefined && hold !== row.held) {
      this.#tasks.setHeld(row.number, { held: hold, now });
      row.held = hold;
    }
    for (const [name, value] of request.data) {
      if (value === null) this.#sql.deleteField.run(row.number, name);
      else this.#sql.putField.run(row.number, name, value);
    }
    this.#apply(row, key, request, successor);
    this.#advance(row, request);
    return { outcome: "committed", head: { revision: row.revision, commitId } };
  }

  history(
    execution: number,
    request: { readonly after: number; readonly limit: number },
  ): readonly string[] {
    const first = execution * historyRoom;
    const rows = this.#sql.selectHistory.values(
      ...[first + request.after, first + historyRoom, request.limit],
    );
    return rows.map(([entry]) => entry as string);
  }

  /** Undefined when there is one of this id already. */
  #insert(request: CreateRequest): HeadRow | undefined {
    const { key, commitId, listing, state } = request;
    const requestHash = request.requestHash ?? null;
    const endedAt = listing.endedAt ?? null;
    const { changes, lastInsertRowid } = this.#sql.insertExecution.run(
      ...[key.partition, key.id, listing.workflow, listing.version, listing.status],
      ...[listing.startedAt, endedAt, listing.correlationId ?? null, commitId, requestHash],
    );
    if (changes === 0) return undefined;
    const number = Number(lastInsertRowid);
    const history = request.effects.history.length;
    this.#sql.insertState.run(number, commitId, joinCommitIds([commitId]), history, state);
    return {
      ...{ number, createdBy: commitId, requestHash, revision: 1, commitId, recent: [commitId] },
      ...{ held: false, history: 0, status: listing.status, endedAt, tombstoneUntil: null },
    };
  }

  /**
   * Removes what the commit ends. Each deletion carries its own check, so a single one, nearly all
   * there are, needs no look before; several are looked at first, as all or none may go.
   */
  #end(execution: number, request: CommitRequest): CommitAnswer | undefined {
    const { settle, expire, consumeTimers } = request;
    const isSingle = settle.length + expire.length + consumeTimers.length === 1;
    const tasks: string[] = [];
    const timers: string[] = [];
    if (!isSingle) {
      tasks.push(...this.#tasks.stale(execution, request));
      timers.push(...this.#timers.stale(execution, consumeTimers));
      if (tasks.length > 0 || timers.length > 0) return { outcome: "stale", tasks, timers };
    }
    for (const ended of settle) {
      if (!this.#tasks.settle(execution, ended) && isSingle) tasks.push(ended.taskId);
    }
    for (const ended of expire) {
      if (!this.#tasks.expire(execution, ended) && isSingle) tasks.push(ended.taskId);
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
    added?: NewTask,
  ): void {
    const { effects, now } = request;
    for (const id of effects.dropTasks) this.#tasks.drop(row.number, id);
    for (const id of effects.dropTimers) this.#timers.drop(row.number, id);
    const owner = { execution: row.number, partition: key.partition, held: row.held };
    for (const task of effects.tasks) if (task !== added) this.#tasks.add(owner, task, now);
    for (const timer of effects.timers) this.#timers.add(owner, timer);
    for (const message of effects.messages) this.#messages.add(owner, message, now);
    for (const entry of effects.history) {
      row.history++;
      if (row.history >= historyRoom) throw new RangeError("This history is full.");
      this.#sql.insertHistory.run(row.number * historyRoom + row.history, entry);
    }
  }

  #advance(row: HeadRow, request: CommitRequest): void {
    const { commitId, status, state } = request;
    const endedAt = request.endedAt ?? null;
    row.revision++;
    row.commitId = commitId;
    row.recent = [...row.recent.slice(1 - limits.commitIdsKept), commitId];
    this.#sql.updateState.run(
      ...[row.revision, commitId, joinCommitIds(row.recent), row.held ? 1 : 0],
      ...[row.history, state, row.number],
    );
    if (status === row.status && endedAt === row.endedAt) return;
    this.#sql.updateStatus.run(status, endedAt, row.number);
    row.status = status;
    row.endedAt = endedAt;
  }
}
