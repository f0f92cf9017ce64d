/**
 * The small part of each execution that every operation checks first. One process writes the file,
 * so rows that were read or written once are right until a transaction is rolled back.
 */
import type { Database, Statement } from "bun:sqlite";
import type { ExecutionStatus } from "../../model/execution.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import type { Head } from "../store.ts";

const headsKept = 20_000;

export interface HeadRow {
  /** The execution's integer key. */
  readonly number: number;
  readonly createdBy: string;
  readonly requestHash: string | null;
  revision: number;
  commitId: string;
  /** Oldest first. */
  recent: readonly string[];
  held: boolean;
  /** Entries in its history. */
  history: number;
  status: ExecutionStatus;
  endedAt: number | null;
  tombstoneUntil: number | null;
}

interface StoredRow extends Omit<HeadRow, "recent" | "held"> {
  recent: string;
  held: number;
}

/** Commit ids are stored as lines: shorter than JSON, and nothing to parse. */
export function joinCommitIds(ids: readonly string[]): string {
  return ids.join("\n");
}

export function sameHead(row: HeadRow, head: Head): boolean {
  return row.revision === head.revision && row.commitId === head.commitId;
}

export class Heads {
  readonly #rows = new Map<string, HeadRow>();
  readonly #select: Statement<StoredRow>;

  constructor(database: Database) {
    this.#select = database.prepare(`
      SELECT number, created_by AS createdBy, request_hash AS requestHash, revision,
        commit_id AS commitId, recent, held, history, status, ended_at AS endedAt,
        tombstone_until AS tombstoneUntil
      FROM executions JOIN states ON execution = number
      WHERE id = ? AND partition = ?`);
  }

  /** Whether it is known without a look. */
  knows(key: ExecutionKey): boolean {
    return this.#rows.has(`${key.partition}/${key.id}`);
  }

  find(key: ExecutionKey): HeadRow | undefined {
    const name = `${key.partition}/${key.id}`;
    const known = this.#rows.get(name);
    if (known !== undefined) return known;
    const stored = this.#select.get(key.id, key.partition);
    if (stored === null) return undefined;
    const row = { ...stored, recent: stored.recent.split("\n"), held: stored.held === 1 };
    this.#keep(name, row);
    return row;
  }

  /** One that is neither removed nor being removed. */
  live(key: ExecutionKey): HeadRow | undefined {
    const row = this.find(key);
    return row?.tombstoneUntil === null ? row : undefined;
  }

  add(key: ExecutionKey, row: HeadRow): void {
    this.#keep(`${key.partition}/${key.id}`, row);
  }

  forget(key: ExecutionKey): void {
    this.#rows.delete(`${key.partition}/${key.id}`);
  }

  forgetAll(): void {
    this.#rows.clear();
  }

  #keep(name: string, row: HeadRow): void {
    this.#rows.set(name, row);
    if (this.#rows.size <= headsKept) return;
    for (const oldest of this.#rows.keys()) {
      this.#rows.delete(oldest);
      return;
    }
  }
}
