/** Lists of executions in SQLite, newest first. */
import type { Database } from "bun:sqlite";
import { type ExecutionStatus, executionStatuses } from "../../model/execution.ts";
import { compareText } from "../rules.ts";
import type { Listing, ListRequest } from "../store.ts";

interface Row {
  readonly id: string;
  readonly workflow: string;
  readonly version: number;
  readonly status: ExecutionStatus;
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly correlationId: string | null;
}

function prepareBy(database: Database, column: string) {
  return database.prepare<Row, [number, string, number, string, number]>(`
    SELECT id, workflow, version, status, started_at AS startedAt, ended_at AS endedAt,
      correlation_id AS correlationId
    FROM executions
    WHERE partition = ? AND tombstone_until IS NULL AND ${column} = ?
      AND (started_at, id) < (?, ?)
    ORDER BY started_at DESC, id DESC LIMIT ?`);
}

function toListing({ endedAt, correlationId, ...row }: Row): Listing {
  return {
    ...row,
    ...(endedAt !== null && { endedAt }),
    ...(correlationId !== null && { correlationId }),
  };
}

export class Listings {
  readonly #sql;

  constructor(database: Database) {
    this.#sql = {
      workflow: prepareBy(database, "workflow"),
      status: prepareBy(database, "status"),
      correlationId: prepareBy(database, "correlation_id"),
    };
  }

  list(request: ListRequest): Listing[] {
    const { partition, index, value, limit } = request;
    const { startedAt, id } = request.after ?? { startedAt: Number.MAX_SAFE_INTEGER, id: "" };
    if (index !== "all") {
      return this.#sql[index].all(partition, value, startedAt, id, limit).map(toListing);
    }
    // Every execution has one of few statuses: merging their lists saves an index of all.
    return executionStatuses
      .flatMap((status) => this.#sql.status.all(partition, status, startedAt, id, limit))
      .sort((a, b) => b.startedAt - a.startedAt || compareText(b.id, a.id))
      .slice(0, limit)
      .map(toListing);
  }
}
