/** Queues in SQLite: claims of queued tasks, and what is known of each queue. */
import type { Database } from "bun:sqlite";
import { formatToken } from "../../model/ids.ts";
import { compareText, leaseTerms, queueTimeLeft, RecentClaims } from "../rules.ts";
import type { ClaimTasksAnswer, ClaimTasksRequest, LeasedTask, QueueStats } from "../store.ts";
import type { LoneSlots } from "./lone-slots.ts";
import { taskState } from "./schema.ts";

const { queued, leased } = taskState;

interface TaskRow {
  readonly number: number;
  readonly executionId: string;
  readonly id: string;
  readonly queue: string;
  readonly timeoutMs: number;
  readonly heartbeatMs: number;
  readonly until: number | null;
  readonly queueLeft: number | null;
  /** Of a queued one: the last that was released. */
  readonly token: string | null;
  readonly header: string;
  readonly parameters: string;
}

interface LeaseRow extends TaskRow {
  readonly until: number;
  readonly token: string;
  readonly leasedAt: number;
  readonly deadline: number;
}

interface Worker {
  readonly partition: number;
  readonly tokenPrefix: string;
  readonly workerId: string;
  readonly heartbeatMs: number;
  readonly now: number;
}

const selectTask = `
  SELECT tasks.number, executions.id AS executionId, tasks.id, queue, timeout_ms AS timeoutMs,
    heartbeat_ms AS heartbeatMs, until, queue_left AS queueLeft, token, leased_at AS leasedAt,
    deadline, header, parameters
  FROM tasks JOIN executions ON executions.number = execution`;

const whereClaimable = `tasks.partition = ? AND queue = ? AND held = 0 AND state = ${queued}`;

function prepareStatements(database: Database) {
  return {
    selectClaimable: database.prepare<TaskRow, [number, string, number]>(
      `${selectTask} WHERE ${whereClaimable} ORDER BY priority DESC, place LIMIT ?`,
    ),
    hasClaimable: database.prepare(`SELECT 1 FROM tasks WHERE ${whereClaimable} LIMIT 1`),
    selectQueued: database.prepare<TaskRow, [number, string]>(`
      ${selectTask} WHERE execution = ? AND tasks.id = ? AND held = 0 AND state = ${queued}`),
    selectLeased: database.prepare<LeaseRow, [number]>(
      `${selectTask} WHERE tasks.number = ? AND state = ${leased}`,
    ),
    selectLeasedById: database.prepare<LeaseRow, [number, string]>(
      `${selectTask} WHERE execution = ? AND tasks.id = ? AND state = ${leased}`,
    ),
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

function leasedTask(row: LeaseRow, worker: Worker): LeasedTask {
  const { executionId, id, queue, token, leasedAt, until, deadline, header, parameters } = row;
  const heartbeatMs = row.heartbeatMs > 0 ? row.heartbeatMs : worker.heartbeatMs;
  return {
    key: { partition: worker.partition, id: executionId },
    id,
    queue,
    token,
    leasedAt,
    leaseUntil: until,
    deadline,
    heartbeatMs,
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
        tasks.push(this.#lease(row, request));
        numbers.push(row.number);
      }
    }
    this.#claims.remember(partition, tokenPrefix, numbers);
    return { tasks, more: [...more] };
  }

  claimOne(execution: number, request: Worker & { readonly taskId: string }) {
    const known = this.#sql.selectLeasedById.get(execution, request.taskId);
    if (known !== null) {
      const isRepeat = known.token === formatToken(request.tokenPrefix, known.id);
      return isRepeat ? leasedTask(known, request) : undefined;
    }
    const row = this.#sql.selectQueued.get(execution, request.taskId);
    const wasReleased = row?.token === formatToken(request.tokenPrefix, request.taskId);
    return row === null || wasReleased ? undefined : this.#lease(row, request);
  }

  stats(request: { readonly partition: number; readonly queue?: string }): QueueStats[] {
    const { partition, queue = null } = request;
    const stats = new Map<string, QueueStats>();
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
        tasks.push(leasedTask(row, request));
      }
    }
    return tasks;
  }

  #lease(row: TaskRow, worker: Worker): LeasedTask {
    const { leaseUntil, deadline } = leaseTerms(row, worker);
    const token = formatToken(worker.tokenPrefix, row.id);
    const queueLeft = queueTimeLeft(row.until, worker.now);
    this.#sql.lease.run(
      ...[token, worker.workerId, worker.now, leaseUntil, deadline, queueLeft, row.number],
    );
    const lease = { token, leasedAt: worker.now, until: leaseUntil, deadline };
    return leasedTask({ ...row, ...lease }, worker);
  }
}
