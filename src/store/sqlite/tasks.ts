/**
 * Tasks in SQLite: added, leased, extended, released, ended. A queue timeout runs only while the
 * task is on offer: it stands still while the task is leased or its execution held.
 */
import type { Database } from "bun:sqlite";
import * as life from "../kit/task-life.ts";
import type {
  CommitRequest,
  ExtendAnswer,
  ReleaseAnswer,
  StoreEffects,
  TaskView,
} from "../store.ts";
import { isLeased, type LeasedNewTask } from "./lone-task.ts";
import { Places } from "./places.ts";
import { taskState } from "./schema.ts";
import { type HeldRow, heldTask } from "./task-row.ts";

type NewTask = StoreEffects["tasks"][number];
type Settled = CommitRequest["settle"][number];
type Expired = CommitRequest["expire"][number];

interface Owner {
  readonly execution: number;
  readonly partition: number;
  readonly held: boolean;
}

const { queued, leased, dropped } = taskState;

const whereSettled = `execution = ? AND id = ? AND token = ? AND state = ${leased}`;
const whereOnOffer = `execution = ? AND id = ? AND state = ${queued} AND held = 0`;
const whereLeaseEnded = `${whereSettled} AND until = ?`;
const whereWaitEnded = `execution = ? AND id = ? AND state = ${queued} AND until = ?`;

function prepareStatements(database: Database) {
  return {
    insertQueued: database.prepare(`
      INSERT OR REPLACE INTO tasks (execution, partition, state, held, priority, due, until,
        queue_left, queued_at, timeout_ms, heartbeat_ms, queue, id, header, parameters, place)
      VALUES (?1, ?2, ${queued}, ?3, ?4, ?5, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)`),
    insertLeased: database.prepare(`
      INSERT OR REPLACE INTO tasks (execution, partition, state, held, priority, due, until,
        queue_left, queued_at, timeout_ms, heartbeat_ms, queue, id, header, parameters,
        leased_at, deadline, worker_id, token, place)
      VALUES (?1, ?2, ${leased}, 0, ?3, ?4, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?6, ?13, ?14,
        ?15, ?16)`),
    remove: database.prepare("DELETE FROM tasks WHERE execution = ? AND id = ?"),
    findSettled: database.prepare(`SELECT 1 FROM tasks WHERE ${whereSettled}`),
    settle: database.prepare(`DELETE FROM tasks WHERE ${whereSettled}`),
    findOnOffer: database.prepare(`SELECT 1 FROM tasks WHERE ${whereOnOffer}`),
    settleOnOffer: database.prepare(`DELETE FROM tasks WHERE ${whereOnOffer}`),
    findLeaseEnded: database.prepare(`SELECT 1 FROM tasks WHERE ${whereLeaseEnded}`),
    endLease: database.prepare(`DELETE FROM tasks WHERE ${whereLeaseEnded}`),
    findWaitEnded: database.prepare(`SELECT 1 FROM tasks WHERE ${whereWaitEnded}`),
    endWait: database.prepare(`DELETE FROM tasks WHERE ${whereWaitEnded}`),
    dropQueued: database.prepare(
      `DELETE FROM tasks WHERE execution = ? AND id = ? AND state = ${queued}`,
    ),
    dropLeased: database.prepare(`
      UPDATE tasks SET state = ${dropped}, due = NULL
      WHERE execution = ? AND id = ? AND state = ${leased}`),
    purgeDropped: database.prepare(
      `DELETE FROM tasks WHERE partition = ? AND state = ${dropped} AND until < ?`,
    ),
    hold: database.prepare(`
      UPDATE tasks SET held = 1, due = NULL, until = NULL, claim_id = NULL,
        queue_left = max(0, until - ?)
      WHERE execution = ? AND state = ${queued}`),
    unhold: database.prepare(`
      UPDATE tasks SET held = 0, due = ?1 + queue_left, until = ?1 + queue_left
      WHERE execution = ?2 AND state = ${queued}`),
    findLease: database.prepare<HeldRow, [number, string, string]>(`
      SELECT number, state, until, queue_left AS queueLeft, deadline FROM tasks
      WHERE execution = ? AND id = ? AND token = ?`),
    extend: database.prepare(
      "UPDATE tasks SET due = ?1, until = ?1, claim_id = NULL WHERE number = ?2",
    ),
    release: database.prepare(`
      UPDATE tasks SET state = ${queued}, held = ?, claim_id = NULL, due = ?, until = ?
      WHERE number = ?`),
    selectViews: database.prepare<
      { id: string; queue: string; state: number; worker: string; token: string; until: number },
      [number]
    >(`
      SELECT id, queue, state, worker_id AS worker, token, until
      FROM tasks WHERE execution = ? AND state < ${dropped} ORDER BY place`),
  };
}

export class Tasks {
  readonly #sql: ReturnType<typeof prepareStatements>;

  readonly #places: Places;

  constructor(database: Database) {
    this.#places = new Places(database);
    this.#sql = prepareStatements(database);
  }

  add(owner: Owner, task: NewTask, now: number): void {
    if (isLeased(task)) {
      this.addLeased(owner, task, { now, place: this.nextPlace() });
      return;
    }
    const { execution, partition, held } = owner;
    const { id, queue, priority, timeoutMs, heartbeatMs, header, parameters } = task;
    const { until, queueLeft } = life.addTask(task, { held, now });
    this.#sql.insertQueued.run(
      ...[execution, partition, held ? 1 : 0, priority, until, queueLeft, now, timeoutMs],
      ...[heartbeatMs, queue, id, header, parameters, this.nextPlace()],
    );
  }

  addLeased(
    { execution, partition }: Owner,
    task: LeasedNewTask,
    { now, place }: { readonly now: number; readonly place: number },
  ): void {
    const { id, queue, priority, timeoutMs, heartbeatMs, header, parameters } = task;
    const { deadline, workerId, token } = task.lease;
    const { until, queueLeft } = life.addTask(task, { held: false, now });
    this.#sql.insertLeased.run(
      ...[execution, partition, priority, until, queueLeft, now, timeoutMs, heartbeatMs],
      ...[queue, id, header, parameters, deadline, workerId, token, place],
    );
  }

  /** The order of adding. */
  nextPlace(): number {
    return this.#places.next();
  }

  /** Whatever its state is. */
  remove(execution: number, id: string): void {
    this.#sql.remove.run(execution, id);
  }

  /** A leased task stays behind as a tombstone, so that its worker's heartbeat hears `cancelled`. */
  drop(execution: number, id: string): void {
    if (this.#sql.dropQueued.run(execution, id).changes > 0) return;
    this.#sql.dropLeased.run(execution, id);
  }

  purgeDropped(partition: number, now: number): void {
    this.#sql.purgeDropped.run(partition, now);
  }

  setHeld(execution: number, change: { readonly held: boolean; readonly now: number }): void {
    const statement = change.held ? this.#sql.hold : this.#sql.unhold;
    statement.run(change.now, execution);
  }

  stale(execution: number, ended: { settle: readonly Settled[]; expire: readonly Expired[] }) {
    const stale: string[] = [];
    for (const { taskId, token } of ended.settle) {
      const found =
        token === null
          ? this.#sql.findOnOffer.values(execution, taskId)
          : this.#sql.findSettled.values(execution, taskId, token);
      if (found.length === 0) stale.push(taskId);
    }
    for (const { taskId, token, until } of ended.expire) {
      const found =
        token === null
          ? this.#sql.findWaitEnded.values(execution, taskId, until)
          : this.#sql.findLeaseEnded.values(execution, taskId, token, until);
      if (found.length === 0) stale.push(taskId);
    }
    return stale;
  }

  settle(execution: number, { taskId, token }: Settled): boolean {
    const { changes } =
      token === null
        ? this.#sql.settleOnOffer.run(execution, taskId)
        : this.#sql.settle.run(execution, taskId, token);
    return changes > 0;
  }

  expire(execution: number, { taskId, token, until }: Expired): boolean {
    const { changes } =
      token === null
        ? this.#sql.endWait.run(execution, taskId, until)
        : this.#sql.endLease.run(execution, taskId, token, until);
    return changes > 0;
  }

  extend(
    execution: number,
    request: {
      readonly taskId: string;
      readonly token: string;
      readonly until: number;
      readonly now: number;
      readonly lateMs: number;
    },
  ): ExtendAnswer {
    const found = this.#sql.findLease.get(execution, request.taskId, request.token);
    const { answer, row } = life.extendLease(heldTask(found, request.token), request);
    if (found !== null && row !== undefined) this.#sql.extend.run(row.until, found.number);
    return answer;
  }

  release(
    owner: { readonly number: number; readonly held: boolean },
    request: { readonly taskId: string; readonly token: string; readonly now: number },
  ): ReleaseAnswer {
    const { number, held } = owner;
    const found = this.#sql.findLease.get(number, request.taskId, request.token);
    const { token, now } = request;
    const { answer, row } = life.releaseTask(heldTask(found, token), { token, now, held });
    if (found !== null && row !== undefined) {
      this.#sql.release.run(held ? 1 : 0, row.until, row.until, found.number);
    }
    return answer;
  }

  of(execution: number): readonly TaskView[] {
    return this.#sql.selectViews.all(execution).map((row) => {
      const { id, queue, worker: workerId, token, until: leaseUntil } = row;
      if (row.state === queued) return { id, queue, state: "queued" };
      return { id, queue, state: "leased", workerId, token, leaseUntil };
    });
  }
}
