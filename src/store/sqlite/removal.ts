/** Removing executions from SQLite: in chunks, behind a tombstone that is purged late. */
import type { Database } from "bun:sqlite";
import { limits } from "../../base/limits.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import { sameHead } from "../kit/heads.ts";
import { purgedPerRemoval, removeRowsMax } from "../kit/removal.ts";
import type { RemoveAnswer, RemoveRequest } from "../store.ts";
import type { Heads } from "./heads.ts";
import { historyKey, historySequenceMax } from "./schema.ts";

/** In the order of deletion: first what could still be handed out. */
const owned = [
  ...["tasks", "timers", "messages", "fields"].map((table) => ({
    table,
    where: "execution = ?1",
  })),
  {
    table: "history",
    where: `number BETWEEN ${historyKey("?1", 0)} AND ${historyKey("?1", historySequenceMax)}`,
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
    bury: database.prepare(`
      UPDATE executions SET tombstone_until = ?, request_hash = ?, workflow = '', created_by = '',
        correlation_id = NULL, parent = NULL, is_inline = NULL
      WHERE number = ?`),
    count: database.prepare("UPDATE settings SET value = value + ? WHERE name = 'tombstones'"),
    selectCount: database.prepare("SELECT value FROM settings WHERE name = 'tombstones'"),
    // Only a deletion joins pages that became nearly empty; an update that shrinks rows does not.
    insertHead: database.prepare(`
      INSERT INTO states (execution, revision, commit_id, held, history, state)
      VALUES (?, ?, ?, 0, 0, '')`),
    deleteExecution: database.prepare("DELETE FROM executions WHERE number = ?"),
    deleteState: database.prepare("DELETE FROM states WHERE execution = ?"),
    selectExpired: database.prepare<{ number: number; id: string }, [number, number, number]>(`
      SELECT number, id FROM executions WHERE partition = ? AND tombstone_until <= ? LIMIT ?`),
  };
}

export class Removal {
  readonly #heads: Heads;
  readonly #sql: ReturnType<typeof prepareStatements>;

  constructor(database: Database, heads: Heads) {
    this.#heads = heads;
    this.#sql = prepareStatements(database);
  }

  /** How many there are. */
  get tombstones(): number {
    return Number(this.#sql.selectCount.values()[0]?.[0]);
  }

  remove(request: RemoveRequest): RemoveAnswer {
    const { key, tombstoneUntil, keepStart, now } = request;
    const row = this.#heads.find(key);
    if (row === undefined) return "not_found";
    if (!sameHead(row, request.expected)) {
      return row.tombstoneUntil === null ? "conflict" : "not_found";
    }
    if (row.tombstoneUntil === null) {
      const kept = keepStart ? row.requestHash?.slice(0, limits.keptHashChars) : null;
      row.requestHash = kept ?? null;
      this.#sql.bury.run(tombstoneUntil, row.requestHash, row.number);
      this.#sql.count.run(1);
      this.#sql.deleteState.run(row.number);
      this.#sql.insertHead.run(row.number, row.revision, row.commitId);
      row.tombstoneUntil = tombstoneUntil;
    }
    if (this.#deleteRows(row.number)) return "more";
    this.purgeExpired(key.partition, now, purgedPerRemoval);
    return "removed";
  }

  /** Ends a tombstone; false when there is more to delete than one call may. */
  purge(key: ExecutionKey, execution: number): boolean {
    if (this.#deleteRows(execution)) return false;
    this.#sql.deleteExecution.run(execution);
    this.#sql.deleteState.run(execution);
    this.#sql.count.run(-1);
    this.#heads.forget(key);
    return true;
  }

  /** Ends at most this many tombstones; returns whether there may be more to end. */
  purgeExpired(partition: number, now: number, most: number): boolean {
    const expired = this.#sql.selectExpired.all(partition, now, most);
    let purged = 0;
    for (const { number, id } of expired) if (this.purge({ partition, id }, number)) purged++;
    return expired.length === most || purged < expired.length;
  }

  /** Removes a chunk of what the execution owns; returns whether something is left. */
  #deleteRows(execution: number): boolean {
    let room = removeRowsMax;
    for (const statement of this.#sql.deleteSome) {
      if (room > 0) room -= statement.run(execution, room).changes;
    }
    if (room > 0) return false;
    return this.#sql.isLeft.some((statement) => statement.values(execution).length > 0);
  }
}
