/** Queues in SQLite: claims of queued tasks, and what is known of each queue. */
import type { Database } from "bun:sqlite";
import { formatToken } from "../../model/ids.ts";
import { RecentClaims } from "../kit/claims.ts";
import { compareText } from "../kit/order.ts";
import * as life from "../kit/task-life.ts";
import type {
  Claimant,
  ClaimTaskAnswer,
  ClaimTaskRequest,
  ClaimTasksAnswer,
  ClaimTasksRequest,
  LeasedTask,
  QueueStats,
  QueueStatsRequest,
  StoredTask,
} from "../store.ts";
import type { LoneSlots } from "./lone-slots.ts";
import { taskState } from "./schema.ts";
import { type LeaseRow, type TaskRow, taskLife } from "./task-row.ts";

const { queued, leased } = taskState;

/** On offer. */
interface Offered {
  readonly number: number;
  readonly executionId: string;
  readonly until: number | null;
  readonly queueLeft: number | null;
  readonly id: string;
  readonly queue: string;
  readonly timeoutMs: number;
  readonly heartbeatMs: number;
  readonly header: string;
  readonly parameters: string;
}

interface Found extends Offered, TaskRow {
  readonly held: number;
}

interface Worker extends Claimant {
  readonly partition: number;
}

const offered = `
  tasks.number, executions.id AS executionId, until, queue_left AS queueLeft, tasks.id, queue,
  timeout_ms AS timeoutMs, heartbeat_ms AS heartbeatMs, header, parameters`;
const leases = "state, held, token, worker_id AS workerId, leased_at AS leasedAt, deadline";
const fromTasks = "FROM tasks JOIN executions ON executions.number = execution";

const whereClaimable = `tasks.partition = ? AND queue = ? AND held = 0 AND state = ${queued}`;

function prepareStatements(database: Database) {
  return {
    selectClaimable: database.prepare<Offered, [number, string, number]>(`
      SELECT ${offered} ${fromTasks}
      WHERE ${whereClaimable} ORDER BY priority DESC, place LIMIT ?`),
    hasClaimable: database.prepare(`SELECT 1 FROM tasks WHERE ${whereClaimable} LIMIT 1`),
    selectById: database.prepare<Found, [number, string]>(
      `SELECT ${offered}, ${leases} ${fromTasks} WHERE execution = ? AND tasks.id = ?`,
    ),
    selectLeased: database.prepare<Found & LeaseRow, [number]>(`
      SELECT ${offered}, ${leases} ${fromTasks} WHERE tasks.number = ? AND state = ${leased}`),
    lease: database.prepare(`
      UPDATE tasks SET state = ${leased}, token = ?1, worker_id = ?2, leased_at = ?3, due = ?4,
        until = ?4, deadline = ?5, queue_left = ?6, claim_id = NULL
      WHERE number = ?7`),
    countQueued: database.prepare<
      { queue: string; queued: number; oldestAt: number },
      [number, string | null]
    >(`
      SELECT queue, count(*) AS queued, min(queued_at) AS oldestAt FROM tasks
      WHERE partition = ?1 AND state = ${queued} AND queue = ifnull(?2, queue) GROUP BY queue`),
    countLeased: database.prepare<{ queue: string; leased: number }, [number, string | null]>(`
      SELECT queue, count(*) AS leased FROM tasks
      WHERE partition = ?1 AND due IS NOT NULL AND state = ${leased}
        AND queue = ifnull(?2, queue) GROUP BY queue`),
    selectHints: database.prepare(`
      SELECT DISTINCT queue FROM tasks
      WHERE partition = ? AND held = 0 AND state = ${queued} ORDER BY queue`),
  };
}

function leasedTask(row: Offered, { until, lease }: life.TaskLife, worker: Worker): LeasedTask {
  const { token, leasedAt, deadline } = lease as life.Lease;
  const { executionId, id, queue, header, parameters } = row;
  return {
    key: { partition: worker.partition, id: executionId },
    id,
    queue,
    token,
    leasedAt,
    leaseUntil: until as number,
    deadline,
    heartbeatMs: life.heartbeatOf(row, worker),
    header,
    parameters,
  };
}

export class Queues {
  readonly #sql: ReturnType<typeof prepareStatements>;
  readonly #loneSlots: LoneSlots;
  readonly #claims = new RecentClaims<number>();

  constructor(database: Database, loneSlots: LoneSlots) {
    this.#sql = prepareStatements(database);
    this.#loneSlots = loneSlots;
  }

  claim(request: ClaimTasksRequest): ClaimTasksAnswer {
    const { partition, queues, tokenPrefix } = request;
    const earlier = this.#claims.recall(partition, tokenPrefix);
    const tasks: LeasedTask[] = this.#stillLeased(earlier, request);
    const more = new Set<string>();
    if (earlier.length > 0) {
      for (const { name } of queues) {
        if (this.#sql.hasClaimable.values(partition, name).length > 0) more.add(name);
      }
      return { tasks, more: [...more] };
    }
    const numbers: number[] = [];
    for (const { name, limit } of queues) {
      const room = Math.max(0, Math.min(limit, request.limit - tasks.length));
      // One more than wanted shows whether the queue holds more.
      const rows = this.#sql.selectClaimable.all(partition, name, room + 1);
      if (rows.length > room) more.add(name);
      else more.delete(name);
      for (const row of rows.slice(0, room)) {
        const leasedRow = life.claimTask(row, row, request);
        this.#lease(row, leasedRow);
        tasks.push(leasedTask(row, leasedRow, request));
        numbers.push(row.number);
      }
    }
    this.#claims.remember(partition, tokenPrefix, numbers);
    return { tasks, more: [...more] };
  }

  claimOne(execution: number, request: ClaimTaskRequest): ClaimTaskAnswer {
    const found = this.#sql.selectById.get(execution, request.taskId);
    if (found === null) return { outcome: "unknown" };
    const known = taskLife(found);
    const held = found.held === 1;
    const { answer, row } = life.claimByTicket(known, found, { ...request, held });
    if (answer.outcome !== "claimed") return answer;
    if (row !== undefined) this.#lease(found, row);
    const { partition } = request.key;
    return { ...answer, task: leasedTask(found, row ?? known, { ...request, partition }) };
  }

  read(execution: number, taskId: string): StoredTask | undefined {
    const found = this.#sql.selectById.get(execution, taskId);
    if (found === null) return undefined;
    const { queue, timeoutMs, header, parameters } = found;
    return life.storedTask(taskLife(found), { queue, timeoutMs, header, parameters });
  }

  stats(request: QueueStatsRequest): QueueStats[] {
    const { partition, queue = null } = request;
    const stats = new Map<string, QueueStats & { readonly leased: number }>();
    for (const row of this.#sql.countQueued.all(partition, queue)) {
      stats.set(row.queue, { ...row, leased: 0 });
    }
    const inTable = this.#sql.countLeased.all(partition, queue);
    for (const { queue: name, leased: count } of [
      ...inTable,
      ...this.#loneSlots.count(partition),
    ]) {
      if (queue !== null && name !== queue) continue;
      const known = stats.get(name) ?? { queue: name, queued: 0, leased: 0 };
      stats.set(name, { ...known, leased: known.leased + count });
    }
    return [...stats.values()].sort((a, b) => compareText(a.queue, b.queue));
  }

  hints(partition: number): readonly string[] {
    return this.#sql.selectHints.values(partition).map(([queue]) => queue as string);
  }

  #stillLeased(numbers: readonly number[], request: ClaimTasksRequest): LeasedTask[] {
    const { tokenPrefix } = request;
    const tasks: LeasedTask[] = [];
    for (const number of numbers) {
      const row = this.#sql.selectLeased.get(number);
      if (row?.token === formatToken(tokenPrefix, row?.id ?? "")) {
        tasks.push(leasedTask(row, taskLife(row), request));
      }
    }
    return tasks;
  }

  #lease({ number }: Offered, { until, queueLeft, lease }: life.TaskLife): void {
    const { token, workerId, leasedAt, deadline } = lease as life.Lease;
    this.#sql.lease.run(token, workerId, leasedAt, until, deadline, queueLeft, number);
  }
}
