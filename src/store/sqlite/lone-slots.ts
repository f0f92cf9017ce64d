/**
 * Most executions have one task at a time, handed out by the commit that adds it. Such a task is kept
 * in the lone slot, a column of the execution's row of `states`, which each commit writes anyway, so
 * that a step writes one row of one table and no index. (On Redis the same slot is the field `t:`.)
 * What must find tasks in another way moves it to the table of tasks first.
 *
 * Which slots are taken, and until when, is known in memory: one process writes the file.
 */
import type { Database, Statement } from "bun:sqlite";
import { executionStatuses, isOpen } from "../../model/execution.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import type { CommitRequest, StoreEffects } from "../store.ts";
import type { HeadRow, Heads } from "./heads.ts";
import {
  isLeased,
  type LeasedNewTask,
  type LoneTask,
  readLoneTask,
  writeLoneTask,
} from "./lone-task.ts";
import type { Tasks } from "./tasks.ts";

/** Whether a commit is about this task in any way. */
function concerns({ settle, expire, effects }: CommitRequest, taskId: string): boolean {
  return (
    settle.some((ended) => ended.taskId === taskId) ||
    expire.some((ended) => ended.taskId === taskId) ||
    effects.dropTasks.includes(taskId) ||
    effects.tasks.some((task) => task.id === taskId)
  );
}

/** A row with a lease, as other operations look for it. */
interface Known {
  readonly key: ExecutionKey;
  lease: LoneTask;
}

export class LoneSlots {
  readonly #heads: Heads;
  readonly #tasks: Tasks;
  readonly #forget: Statement;
  readonly #selectLeases: Statement;
  readonly #partitions: number;
  /** By the execution's number; undefined until it is read from the file. */
  #known: Map<number, Known> | undefined;

  constructor(options: {
    readonly database: Database;
    readonly heads: Heads;
    readonly tasks: Tasks;
    readonly partitions: number;
  }) {
    const { database } = options;
    this.#heads = options.heads;
    this.#tasks = options.tasks;
    this.#partitions = options.partitions;
    const open = executionStatuses.filter(isOpen).map((status) => `'${status}'`);
    this.#forget = database.prepare("UPDATE states SET lease = NULL WHERE execution = ?");
    this.#selectLeases = database.prepare(`
      SELECT number, id, lease FROM executions JOIN states ON execution = number
      WHERE partition = ? AND status IN (${open.join()}) AND tombstone_until IS NULL
        AND lease IS NOT NULL`);
  }

  /** After a rollback: what is known may never have been. */
  forgetAll(): void {
    this.#known = undefined;
  }

  /** Whether the commit settles the lease of this row and nothing else of its tasks. */
  endsWith(row: HeadRow, request: CommitRequest): boolean {
    const { settle, expire, consumeTimers, effects } = request;
    const { lease } = row;
    const [ended] = settle;
    if (lease === undefined || ended?.taskId !== lease.task.id) return false;
    if (settle.length > 1 || expire.length > 0 || consumeTimers.length > 0) return false;
    if (effects.dropTasks.length > 0) return false;
    return ended.token === lease.task.lease.token;
  }

  /** The caller writes the row afterwards. */
  end(row: HeadRow): void {
    row.lease = undefined;
    this.#known?.delete(row.number);
  }

  /** The task, if it is the only one and can be kept in the row. */
  fitting(row: HeadRow, tasks: StoreEffects["tasks"]): LeasedNewTask | undefined {
    const [task] = tasks;
    if (tasks.length !== 1 || row.lease !== undefined || row.held) return undefined;
    return task !== undefined && isLeased(task) ? task : undefined;
  }

  /** The caller writes the row afterwards. */
  keep(row: HeadRow, key: ExecutionKey, task: LeasedNewTask, now: number): void {
    // A task whose id exists is replaced.
    if (row.tasksMax > 0) this.#tasks.remove(row.number, task.id);
    const place = this.#tasks.nextPlace();
    const lease = { task, leasedAt: now, place, text: writeLoneTask(task, now, place) };
    row.lease = lease;
    const known = this.#known?.get(row.number);
    if (known !== undefined) known.lease = lease;
    else this.#known?.set(row.number, { key, lease });
  }

  /** For a commit that does not just end the row's lease: does nothing where it is not concerned. */
  makeWay(row: HeadRow, request: CommitRequest): void {
    const { lease } = row;
    if (lease !== undefined && concerns(request, lease.task.id)) this.moveOut(row, request.key);
  }

  /** The lease goes on in the table of tasks. */
  moveOut(row: HeadRow, { partition }: ExecutionKey): void {
    const { lease } = row;
    if (lease === undefined) return;
    this.end(row);
    const owner = { execution: row.number, partition, held: row.held };
    row.tasksMax += 1;
    this.#tasks.addLeased(owner, lease.task, { now: lease.leasedAt, place: lease.place });
    this.#forget.run(row.number);
  }

  /** Moves out the first leases that have ended by now, up to `limit`. */
  moveOutDue(partition: number, now: number, limit: number): void {
    const due = this.#of(partition).filter(({ lease }) => lease.task.lease.leaseUntil <= now);
    due.sort((a, b) => until(a) - until(b) || a.lease.place - b.lease.place);
    for (const { key } of due.slice(0, limit)) {
      const row = this.#heads.live(key);
      if (row !== undefined) this.moveOut(row, key);
    }
  }

  /** When the first lease in a row ends. */
  firstDue(partition: number): number | undefined {
    let first: number | undefined;
    for (const known of this.#of(partition)) {
      if (first === undefined || until(known) < first) first = until(known);
    }
    return first;
  }

  /** By queue. */
  count(partition: number): { readonly queue: string; readonly leased: number }[] {
    const counts = new Map<string, number>();
    for (const { lease } of this.#of(partition)) {
      counts.set(lease.task.queue, (counts.get(lease.task.queue) ?? 0) + 1);
    }
    return [...counts].map(([queue, leased]) => ({ queue, leased }));
  }

  #of(partition: number): Known[] {
    this.#known ??= this.#read();
    const all = [...this.#known.values()];
    return this.#partitions === 1 ? all : all.filter(({ key }) => key.partition === partition);
  }

  #read(): Map<number, Known> {
    const known = new Map<number, Known>();
    for (let partition = 0; partition < this.#partitions; partition++) {
      for (const [number, id, text] of this.#selectLeases.values(partition)) {
        const lease = readLoneTask(text as string);
        known.set(number as number, { key: { partition, id: id as string }, lease });
      }
    }
    return known;
  }
}

function until({ lease }: Known): number {
  return lease.task.lease.leaseUntil;
}
