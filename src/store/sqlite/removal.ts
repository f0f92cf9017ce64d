/** Removing executions from SQLite: in chunks, behind a tombstone that is purged late. */
import type { Database } from "bun:sqlite";
import type { ExecutionKey } from "../../model/ids.ts";
import { removeRowsMax } from "../rules.ts";
import type { Head } from "../store.ts";
import { type Heads, sameHead } from "./heads.ts";
import { historyRoom } from "./schema.ts";

/** Tombstones looked at by one call of claimDue. */
const purgedPerClaim = 10;

/** In the order of deletion: first what could still be handed out. */
const owned = [
  ...["tasks", "timers", "messages", "fields"].map((table) => ({
    table,
    where: "execution = ?1",
  })),
  {
    table: "history",
    where: `number BETWEEN ?1 * ${historyRoom} AND ?1 * ${historyRoom} + ${historyRoom - 1}`,
  },
];

function prepareStatements(database: Database) {
  return {
    deleteSome: owned.map(({ table, where }) =>
      database.prepare(`
        DELETE FROM ${table}
        WHERE number IN (SELECT number FROM ${table} WHERE ${where} ORDER BY number LIMIT ?2)`),
    ),
    isLeft: owned.map(({ table, where }) =>
      database.prepare(`SELECT 1 FROM ${table} WHERE ${where} LIMIT 1`),
    ),
    bury: database.prepare("UPDATE executions SET tombstone_until = ? WHERE number = ?"),
    // Only a deletion joins pages that became nearly empty; an update that shrinks rows does not.
    insertHead: database.prepare(`
      INSERT INTO states (execution, revision, commit_id, held, history, state)
      VALUES (?, ?, ?, 0, 0, '')`),
    deleteExecution: database.prepare("DELETE FROM executions WHERE number = ?"),
    deleteState: database.prepare("DELETE FROM states WHERE execution = ?"),
    selectExpired: database.prepare<{ number: number; id: string }, [number, number]>(`
      SELECT number, id FROM executions WHERE partition = ? AND tombstone_until <= ?
      LIMIT ${purgedPerClaim}`),
  };
}

export class Removal {
  readonly #heads: Heads;
  readonly #sql: ReturnType<typeof prepareStatements>;

  constructor(database: Database, heads: Heads) {
    this.#heads = heads;
    this.#sql = prepareStatements(database);
  }

  remove(request: {
    readonly key: ExecutionKey;
    readonly expected: Head;
    readonly tombstoneUntil: number;
  }): "removed" | "more" | "conflict" | "not_found" {
    const row = this.#heads.find(request.key);
    if (row === undefined) return "not_found";
    if (!sameHead(row, request.expected)) {
      return row.tombstoneUntil === null ? "conflict" : "not_found";
    }
    if (row.tombstoneUntil === null) {
      this.#sql.bury.run(request.tombstoneUntil, row.number);
      this.#sql.deleteState.run(row.number);
      this.#sql.insertHead.run(row.number, row.revision, row.commitId);
      row.tombstoneUntil = request.tombstoneUntil;
    }
    return this.#deleteRows(row.number) ? "more" : "removed";
  }

  /** Ends a tombstone; false when there is more to delete than one call may. */
  purge(key: ExecutionKey, execution: number): boolean {
    if (this.#deleteRows(execution)) return false;
    this.#sql.deleteExecution.run(execution);
    this.#sql.deleteState.run(execution);
    this.#heads.forget(key);
    return true;
  }

  purgeExpired(partition: number, now: number): void {
    for (const { number, id } of this.#sql.selectExpired.all(partition, now)) {
      this.purge({ partition, id }, number);
    }
  }

  /** A chunk of what the execution owns; answers whether something is left. */
  #deleteRows(execution: number): boolean {
    let room = removeRowsMax;
    for (const statement of this.#sql.deleteSome) {
      if (room > 0) room -= statement.run(execution, room).changes;
    }
    if (room > 0) return false;
    return this.#sql.isLeft.some((statement) => statement.values(execution).length > 0);
  }
}
