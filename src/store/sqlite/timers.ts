/** Timers in SQLite: set, moved, dropped, consumed. */
import type { Database } from "bun:sqlite";
import type { NewTimer } from "../../model/decision.ts";
import type { CommitRequest, ListTimersRequest, TimerPlace } from "../store.ts";

type Consumed = CommitRequest["consumeTimers"][number];

function prepareStatements(database: Database) {
  return {
    insert: database.prepare(`
      INSERT INTO timers (execution, partition, due, at, id) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT (execution, id) DO UPDATE
      SET due = excluded.due, at = excluded.at, claim_id = NULL`),
    drop: database.prepare("DELETE FROM timers WHERE execution = ? AND id = ?"),
    find: database.prepare("SELECT 1 FROM timers WHERE execution = ? AND id = ? AND claim_id = ?"),
    consume: database.prepare("DELETE FROM timers WHERE execution = ? AND id = ? AND claim_id = ?"),
    selectAll: database.prepare<NewTimer, [number]>(
      "SELECT id, at FROM timers WHERE execution = ? ORDER BY number",
    ),
    // The plain comparison is the one that the index serves.
    list: database.prepare(`
      SELECT executions.id, timers.id, due
      FROM timers JOIN executions ON executions.number = execution
      WHERE timers.partition = ?1 AND due >= ?2 AND (due, executions.id, timers.id) > (?2, ?3, ?4)
      ORDER BY due, executions.id, timers.id LIMIT ?5`),
  };
}

export class Timers {
  readonly #sql: ReturnType<typeof prepareStatements>;

  constructor(database: Database) {
    this.#sql = prepareStatements(database);
  }

  add(owner: { readonly execution: number; readonly partition: number }, timer: NewTimer): void {
    this.#sql.insert.run(owner.execution, owner.partition, timer.at, timer.at, timer.id);
  }

  drop(execution: number, id: string): void {
    this.#sql.drop.run(execution, id);
  }

  stale(execution: number, consumed: readonly Consumed[]): string[] {
    return consumed
      .filter(({ id, claimId }) => this.#sql.find.values(execution, id, claimId).length === 0)
      .map(({ id }) => id);
  }

  consume(execution: number, consumed: Consumed): boolean {
    return this.#sql.consume.run(execution, consumed.id, consumed.claimId).changes > 0;
  }

  of(execution: number): readonly NewTimer[] {
    return this.#sql.selectAll.all(execution);
  }

  list({ partition, after, limit }: ListTimersRequest): TimerPlace[] {
    const { due, key, id } = after ?? { due: 0, key: { id: "" }, id: "" };
    const rows = this.#sql.list.values(partition, due, key.id, id, limit);
    return (rows as [string, string, number][]).map(([execution, timer, moment]) => {
      return { key: { partition, id: execution }, id: timer, due: moment };
    });
  }
}
