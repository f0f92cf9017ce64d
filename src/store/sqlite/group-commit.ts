/**
 * Group commit: the operations of one turn of the event loop share a transaction, and are answered
 * after its COMMIT. Operations check before they write, so all an operation can do half is fail in
 * SQL; then the group is rolled back and its operations run again, each in a transaction of its own.
 */
import { type Database, SQLiteError, type Statement } from "bun:sqlite";
import type { Clock } from "../../clock.ts";
import { limits } from "../../limits.ts";
import { StoreFault } from "../store.ts";

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

export class GroupCommit {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #onRollback: () => void;
  readonly #onFlush: () => void;
  readonly #begin: Statement;
  readonly #commit: Statement;
  readonly #rollback: Statement;
  #waiting: Operation[] = [];
  #isScheduled = false;
  #isClosed = false;

  constructor(options: {
    readonly database: Database;
    readonly clock: Clock;
    /** Whatever was cached of the database may be wrong now. */
    readonly onRollback: () => void;
    /** Called outside of any transaction. */
    readonly onFlush: () => void;
  }) {
    this.#database = options.database;
    this.#clock = options.clock;
    this.#onRollback = options.onRollback;
    this.#onFlush = options.onFlush;
    this.#begin = options.database.prepare("BEGIN");
    this.#commit = options.database.prepare("COMMIT");
    this.#rollback = options.database.prepare("ROLLBACK");
  }

  submit<Answer>(run: () => Answer): Promise<Answer> {
    if (this.#isClosed) {
      return Promise.reject(new StoreFault("not_applied", "The store is closed."));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ run, resolve, reject });
      this.#schedule();
    });
  }

  /** Finishes what was submitted; whatever comes later is refused. */
  close(): void {
    while (this.#waiting.length > 0) this.#flushGroup();
    this.#isClosed = true;
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
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

  #settle(operations: readonly Operation[], answers: readonly unknown[]): void {
    try {
      this.#commit.run();
    } catch (error) {
      this.#undo();
      const fault = commitFault(error);
      for (let i = 0; i < answers.length; i++) operations[i]?.reject(fault);
      return;
    }
    for (let i = 0; i < answers.length; i++) operations[i]?.resolve(answers[i] as never);
    this.#onFlush();
  }

  #undo(): void {
    this.#onRollback();
    if (this.#database.inTransaction) this.#rollback.run();
  }
}
