/**
 * The small part of each execution that every operation checks first. One process writes the file,
 * so rows that were read or written once are right until a transaction is rolled back.
 */
import type { Database, Statement } from "bun:sqlite";
import type { ExecutionStatus } from "../../model/execution.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import { keptStart } from "../kit/heads.ts";
import type { KeptStart } from "../store.ts";
import { type LoneTask, readLoneTask } from "./lone-task.ts";

/** In each of two generations, all partitions together. */
const headsKept = 10_000;

/** Of an execution with more tasks it is only known that it has many. */
const tasksCounted = 100;

/** Rows by execution id. */
interface Generations {
  young: Map<string, HeadRow>;
  old: Map<string, HeadRow>;
}

export interface HeadRow {
  /** The execution's integer key. */
  readonly number: number;
  readonly createdBy: string;
  requestHash: string | null;
  revision: number;
  commitId: string;
  /**
   * Commit ids, oldest first. They are not stored: a commit is repeated only by this process.
   */
  recent: readonly string[];
  held: boolean;
  /** Entries in its history. */
  history: number;
  /** Length of the log in its row of states. */
  logChars: number;
  lease: LoneTask | undefined;
  /** It has no more rows in the table of tasks than that. */
  tasksMax: number;
  status: ExecutionStatus;
  endedAt: number | null;
  tombstoneUntil: number | null;
}

/** Tombstones of earlier versions hold all of the hash. */
export function keptOf(row: HeadRow): KeptStart | undefined {
  const endedAt = row.endedAt ?? undefined;
  return keptStart({ ...row, requestHash: row.requestHash ?? undefined, endedAt });
}

interface StoredRow extends Omit<HeadRow, "recent" | "held" | "lease"> {
  held: number;
  lease: string | null;
}

export class Heads {
  /**
   * By partition: what was used lately, and before that; the latter is forgotten when the former is
   * full.
   */
  readonly #known: readonly Generations[];
  readonly #keptMax: number;
  readonly #select: Statement<StoredRow>;

  constructor(database: Database, partitions: number) {
    this.#known = Array.from({ length: partitions }, () => ({ young: new Map(), old: new Map() }));
    this.#keptMax = Math.ceil(headsKept / partitions);
    this.#select = database.prepare(`
      SELECT number, created_by AS createdBy, request_hash AS requestHash, revision,
        commit_id AS commitId, held, history, length(log) AS logChars, lease, status,
        ended_at AS endedAt, tombstone_until AS tombstoneUntil,
        (SELECT count(*) FROM (
          SELECT 1 FROM tasks WHERE tasks.execution = executions.number LIMIT ${tasksCounted}
        )) AS tasksMax
      FROM executions JOIN states ON states.execution = number
      WHERE id = ? AND partition = ?`);
  }

  /** Whether it is known without a look. */
  knows(key: ExecutionKey): boolean {
    return this.#recall(key) !== undefined;
  }

  find(key: ExecutionKey): HeadRow | undefined {
    const known = this.#recall(key);
    if (known !== undefined) return known;
    const stored = this.#select.get(key.id, key.partition);
    if (stored === null) return undefined;
    const lease = stored.lease === null ? undefined : readLoneTask(stored.lease);
    const isCounted = stored.tasksMax < tasksCounted;
    const tasksMax = isCounted ? stored.tasksMax : Number.POSITIVE_INFINITY;
    const recent = [stored.commitId];
    const row = { ...stored, recent, held: stored.held === 1, lease, tasksMax };
    this.#keep(key, row);
    return row;
  }

  /** One that is neither removed nor being removed. */
  live(key: ExecutionKey): HeadRow | undefined {
    const row = this.find(key);
    return row?.tombstoneUntil === null ? row : undefined;
  }

  add(key: ExecutionKey, row: HeadRow): void {
    this.#keep(key, row);
  }

  forget(key: ExecutionKey): void {
    const { young, old } = this.#known[key.partition]!;
    young.delete(key.id);
    old.delete(key.id);
  }

  forgetAll(): void {
    for (const { young, old } of this.#known) {
      young.clear();
      old.clear();
    }
  }

  #recall(key: ExecutionKey): HeadRow | undefined {
    const { young, old } = this.#known[key.partition]!;
    const recent = young.get(key.id);
    if (recent !== undefined) return recent;
    const earlier = old.get(key.id);
    if (earlier !== undefined) this.#keep(key, earlier);
    return earlier;
  }

  #keep(key: ExecutionKey, row: HeadRow): void {
    const known = this.#known[key.partition]!;
    if (known.young.size >= this.#keptMax) {
      known.old = known.young;
      known.young = new Map();
    }
    known.young.set(key.id, row);
  }
}
