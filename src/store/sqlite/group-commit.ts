/**
 * Group commit: the operations of one turn of the event loop share a transaction, and are answered
 * once it is on disk. The next group is written while the sync of the one before it goes on.
 * Operations check before they write, so all an operation can do half is fail in SQL; then the group
 * is rolled back and its operations run again, each in a transaction of its own.
 */
import { type Database, SQLiteError, type Statement } from "bun:sqlite";
import type { Clock } from "../../clock.ts";
import { limits } from "../../limits.ts";
import { StoreFault } from "../store.ts";
import type { LogSync } from "./log-sync.ts";

/** How long after a large group the next one is expected. */
const busyMs = 50;

interface Operation {
  readonly run: () => unknown;
  readonly resolve: (answer: never) => void;
  readonly reject: (error: unknown) => void;
}

function reasonOf(error: unknown): "exhausted" | "unavailable" {
  const isFull = error instanceof SQLiteError && error.code?.startsWith("SQLITE_FULL") === true;
  return isFull ? "exhausted" : "unavailable";
}

/** Errors that are not SQLite's are mistakes of ours, and pass as they are. */
function notApplied(error: unknown): unknown {
  if (!(error instanceof SQLiteError)) return error;
  const options = { reason: reasonOf(error), cause: error };
  return new StoreFault("not_applied", `SQLite refused: ${error.message}.`, options);
}

/**
 * After a failed sync the frames of the transaction may be in the log, and a crash may bring them
 * to life; after any other failure of COMMIT they are not.
 */
function commitFault(error: unknown): StoreFault {
  const isSync = error instanceof SQLiteError && error.code?.startsWith("SQLITE_IOERR") === true;
  const message = error instanceof Error ? error.message : String(error);
  return new StoreFault(
    isSync ? "unknown" : "not_applied",
    `SQLite could not commit: ${message}.`,
    { reason: reasonOf(error), cause: error },
  );
}

/** Written but perhaps not on disk; and a disk that has failed once may have forgotten more. */
function syncFault(cause: Error): StoreFault {
  return new StoreFault("unknown", `SQLite's log could not be synced: ${cause.message}.`, {
    cause,
  });
}

function syncRefusal(cause: Error): StoreFault {
  const message = `The disk did not keep the log (${cause.message}); start the server anew.`;
  return new StoreFault("not_applied", message, { cause });
}

export class GroupCommit {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #onRollback: () => void;
  readonly #onFlush: () => void;
  readonly #log: LogSync;
  readonly #begin: Statement;
  readonly #commit: Statement;
  readonly #rollback: Statement;
  readonly #countChanges: Statement<{ readonly total: number }>;
  /** Rows that were ever changed, as far as transactions have ended. */
  #changes = 0;
  #waiting: Operation[] = [];
  #isScheduled = false;
  /** Until then others are expected soon: the event loop must not stop for a sync. */
  #busyUntil = 0;
  /** Set when nothing more is taken. */
  #refusal: StoreFault | undefined;

  constructor(options: {
    readonly database: Database;
    readonly clock: Clock;
    readonly log: LogSync;
    /** Whatever was cached of the database may be wrong now. */
    readonly onRollback: () => void;
    /** Called outside of any transaction. */
    readonly onFlush: () => void;
  }) {
    this.#database = options.database;
    this.#clock = options.clock;
    this.#onRollback = options.onRollback;
    this.#onFlush = options.onFlush;
    this.#log = options.log;
    this.#begin = options.database.prepare("BEGIN");
    this.#commit = options.database.prepare("COMMIT");
    this.#rollback = options.database.prepare("ROLLBACK");
    this.#countChanges = options.database.prepare("SELECT total_changes() AS total");
  }

  submit<Answer>(run: () => Answer): Promise<Answer> {
    if (this.#refusal !== undefined) return Promise.reject(this.#refusal);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ run, resolve, reject });
      this.#schedule();
    });
  }

  /** Finishes what was submitted; whatever comes later is refused. */
  async close(): Promise<void> {
    while (this.#waiting.length > 0) this.#flushGroup();
    this.#refusal ??= new StoreFault("not_applied", "The store is closed.");
    await new Promise<void>((resolve) => this.#log.settled(() => resolve()));
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      // A few operations would wait for the next sync anyway: they share a transaction until then.
      if (this.#log.isRunning && this.#waiting.length < limits.groupCommitOperationsMin) return;
      if (this.#waiting.length > 0) this.#flushGroup();
      if (this.#waiting.length > 0) this.#schedule();
    });
  }

  #flushGroup(): void {
    const group = this.#waiting;
    const answers: unknown[] = [];
    const start = this.#clock.now();
    try {
      this.#begin.run();
      while (answers.length < Math.min(group.length, limits.groupCommitOperationsMax)) {
        answers.push((group[answers.length] as Operation).run());
        if (this.#clock.now() - start >= limits.groupCommitMs) break;
      }
    } catch {
      this.#undo();
      const failed = answers.length + 1;
      this.#waiting = group.slice(failed);
      for (const operation of group.slice(0, failed)) this.#runAlone(operation);
      return;
    }
    this.#waiting = group.slice(answers.length);
    this.#settle(group, answers);
  }

  #runAlone(operation: Operation): void {
    let answer: unknown;
    try {
      this.#begin.run();
      answer = operation.run();
    } catch (error) {
      this.#undo();
      operation.reject(notApplied(error));
      return;
    }
    this.#settle([operation], [answer]);
  }

  /** Writes the transaction, and answers once what it wrote, or may have read, is on disk. */
  #settle(operations: readonly Operation[], answers: readonly unknown[]): void {
    try {
      this.#commit.run();
    } catch (error) {
      this.#undo();
      const fault = commitFault(error);
      for (let i = 0; i < answers.length; i++) operations[i]?.reject(fault);
      return;
    }
    const synced = (error: Error | null) => {
      if (error !== null) this.#refusal ??= syncRefusal(error);
      for (let i = 0; i < answers.length; i++) {
        if (error === null) operations[i]?.resolve(answers[i] as never);
        else operations[i]?.reject(syncFault(error));
      }
      if (this.#waiting.length > 0) this.#schedule();
    };
    const { total } = this.#countChanges.get() as { readonly total: number };
    const hasWritten = total !== this.#changes;
    this.#changes = total;
    const now = this.#clock.now();
    if (!hasWritten) {
      this.#log.settled(synced);
      return;
    }
    if (answers.length >= limits.groupCommitOperationsMin) this.#busyUntil = now + busyMs;
    if (answers.length === 1 && now > this.#busyUntil) this.#log.syncAtOnce(synced);
    else this.#log.sync(synced);
    this.#onFlush();
  }

  #undo(): void {
    this.#onRollback();
    if (this.#database.inTransaction) this.#rollback.run();
  }
}
