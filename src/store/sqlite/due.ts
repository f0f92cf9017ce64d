/** Due items in SQLite: timers, and the ends of leases and of waits in a queue. */
import type { Database } from "bun:sqlite";
import { RecentClaims } from "../kit/claims.ts";
import { dueTask, withNextDue } from "../kit/due.ts";
import type { ClaimDueAnswer, ClaimDueRequest, DueItem } from "../store.ts";
import type { LoneSlots } from "./lone-slots.ts";
import { type LeaseRow, taskLife } from "./task-row.ts";

interface TimerRow {
  readonly kind: "timer";
  readonly number: number;
  readonly executionId: string;
  readonly due: number;
  readonly id: string;
  readonly at: number;
}

interface DueTaskRow extends LeaseRow {
  readonly kind: "task";
  readonly executionId: string;
  readonly due: number;
  readonly id: string;
}

type Row = TimerRow | DueTaskRow;

const select = {
  timers: `
    SELECT 'timer' AS kind, timers.number, executions.id AS executionId, due, timers.id, at
    FROM timers JOIN executions ON executions.number = execution`,
  tasks: `
    SELECT 'task' AS kind, tasks.number, executions.id AS executionId, due, tasks.id, state, until,
      queue_left AS queueLeft, token, worker_id AS workerId, leased_at AS leasedAt, deadline
    FROM tasks JOIN executions ON executions.number = execution`,
};

function prepareFor<Of extends Row>(database: Database, table: "timers" | "tasks") {
  return {
    selectDue: database.prepare<Of, [number, number, number]>(`
      ${select[table]} WHERE ${table}.partition = ? AND due <= ?
      ORDER BY due, ${table === "tasks" ? "place" : "timers.number"} LIMIT ?`),
    selectClaimed: database.prepare<Of, [number, string]>(`
      ${select[table]} WHERE ${table}.number = ? AND claim_id = ?`),
    firstOfOthers: database.prepare(`
      SELECT due FROM ${table} WHERE partition = ? AND due IS NOT NULL AND claim_id IS NOT ?
      ORDER BY due LIMIT 1`),
    hide: database.prepare(`UPDATE ${table} SET due = ?, claim_id = ? WHERE number = ?`),
  };
}

function dueItem(row: Row, partition: number): DueItem {
  const key = { partition, id: row.executionId };
  if (row.kind === "timer") return { kind: "timer", key, id: row.id, at: row.at };
  return dueTask(key, row.id, taskLife(row));
}

export class DueItems {
  readonly #timers: ReturnType<typeof prepareFor<TimerRow>>;
  readonly #tasks: ReturnType<typeof prepareFor<DueTaskRow>>;
  readonly #loneSlots: LoneSlots;
  readonly #claims = new RecentClaims<Row>();

  constructor(database: Database, loneSlots: LoneSlots) {
    this.#loneSlots = loneSlots;
    this.#timers = prepareFor<TimerRow>(database, "timers");
    this.#tasks = prepareFor<DueTaskRow>(database, "tasks");
  }

  claim(request: ClaimDueRequest): ClaimDueAnswer {
    const { partition, claimId, limit, hideMs, now } = request;
    this.#loneSlots.moveOutDue(partition, now, limit + 1);
    const earlier = this.#recall(request);
    if (earlier.length > 0) {
      return this.#answer(earlier, partition, this.#firstOfOthers(partition, claimId));
    }
    const rows: Row[] = [
      ...this.#timers.selectDue.all(partition, now, limit + 1),
      ...this.#tasks.selectDue.all(partition, now, limit + 1),
    ];
    // The sort is stable: at the same moment timers come first, and each kind in its own order.
    rows.sort((a, b) => a.due - b.due);
    const given = rows.slice(0, limit);
    for (const row of given) {
      const { hide } = row.kind === "timer" ? this.#timers : this.#tasks;
      hide.run(now + hideMs, claimId, row.number);
    }
    this.#claims.remember(partition, claimId, given);
    const next = rows[limit]?.due ?? this.#firstOfOthers(partition, claimId);
    return this.#answer(given, partition, next);
  }

  #recall(request: ClaimDueRequest): Row[] {
    const rows: Row[] = [];
    for (const { kind, number } of this.#claims.recall(request.partition, request.claimId)) {
      const { selectClaimed } = kind === "timer" ? this.#timers : this.#tasks;
      const row = selectClaimed.get(number, request.claimId);
      if (row !== null) rows.push(row);
    }
    return rows;
  }

  /** The earliest moment of what this claim was not given. */
  #firstOfOthers(partition: number, claimId: string): number | undefined {
    const moments = [this.#timers, this.#tasks]
      .map(({ firstOfOthers }) => firstOfOthers.values(partition, claimId)[0]?.[0])
      .concat(this.#loneSlots.firstDue(partition))
      .filter((due) => due !== undefined);
    return moments.length === 0 ? undefined : Math.min(...(moments as number[]));
  }

  #answer(rows: readonly Row[], partition: number, next: number | undefined): ClaimDueAnswer {
    const items = rows.map((row) => dueItem(row, partition));
    return withNextDue({ items }, next);
  }
}
