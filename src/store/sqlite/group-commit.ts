/**
 * Group commit: the operations of one turn of the event loop share a transaction, and are answered
 * once it is on disk. The next group is written while the sync of the one before it goes on.
 * Operations check before they write, so all an operation can do half is fail in SQL; then the group
 * is rolled back and its operations run again, each in a separate transaction. Where a disk is
 * full, room is made first if possible.
 */
import type { Database, Statement } from "bun:sqlite";
import { type Clock, pause } from "../../base/clock.ts";
import type { Logger } from "../../telemetry/log.ts";
import { StoreFault } from "../store.ts";
import { commitFault, isLocked, notApplied, syncFault, syncRefusal } from "./commit-faults.ts";
import type { DiskSpace, Urgency } from "./disk-space.ts";
import { isNoSpace } from "./full.ts";
import type { LogSync } from "./log-sync.ts";

/** Time that a transaction may take. */
const groupCommitMs = 10;
/** Operations that are worth a transaction while the log of the one before is synced. */
export const groupCommitOperationsMin = 32;
/** Operations of one transaction. */
export const groupCommitOperationsMax = 256;
/** Time between two tries to put a log on disk again that found no room there. */
const logKeepMs = 1_000;

/** How long after a large group the next one is expected. */
const busyMs = 50;

/** How often an operation that found the disk full is tried, room being made in between. */
const triesMax = 3;

/** Tries to begin while another process holds the lock, as a backup does for an instant; between them. */
const lockedTriesMax = 25;
const lockedMs = 10;

interface Operation {
  readonly run: () => unknown;
  readonly resolve: (answer: never) => void;
  readonly reject: (error: unknown) => void;
  readonly urgency: Urgency;
  /** It, or one beside it, has failed: it gets a separate transaction. */
  isAlone: boolean;
  tries: number;
}

export class GroupCommit {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #onRollback: () => void;
  readonly #onFlush: () => Promise<void> | undefined;
  readonly #onFull: (urgency: Urgency) => Promise<void>;
  readonly #space: DiskSpace;
  readonly #log: LogSync;
  readonly #logger: Logger | undefined;
  readonly #begin: Statement;
  readonly #commit: Statement;
  readonly #rollback: Statement;
  readonly #countChanges: Statement<{ readonly total: number }>;
  /** Rows that were ever changed, as far as transactions have ended. */
  #changes = 0;
  #waiting: Operation[] = [];
  #isScheduled = false;
  /** Since the last transaction that could begin. */
  #lockedTries = 0;
  /** Nothing is written until it resolves. */
  #held: Promise<void> | undefined;
  /** Until then others are expected soon: the event loop must not stop for a sync. */
  #busyUntil = 0;
  /** Set while nothing is taken. */
  #refusal: StoreFault | undefined;
  #isBroken = false;
  #isClosed = false;
  readonly #keepLog: (hasFailed: boolean) => Promise<Error | null>;
  #recovering: Promise<void> | undefined;

  constructor(options: {
    readonly database: Database;
    readonly clock: Clock;
    readonly log: LogSync;
    readonly logger: Logger | undefined;
    /** Whatever was cached of the database may be wrong now. */
    readonly onRollback: () => void;
    /** Called outside of any transaction, after each that has written; what it returns is waited for. */
    readonly onFlush: () => Promise<void> | undefined;
    /** The log found no room on the disk: resolves when it may be tried again. */
    readonly onFull: (urgency: Urgency) => Promise<void>;
    readonly space: DiskSpace;
    /** The disk may not have the log: puts it there, or resolves with what is in the way. */
    readonly keepLog: (hasFailed: boolean) => Promise<Error | null>;
  }) {
    this.#database = options.database;
    this.#clock = options.clock;
    this.#onRollback = options.onRollback;
    this.#onFlush = options.onFlush;
    this.#onFull = options.onFull;
    this.#space = options.space;
    this.#log = options.log;
    this.#logger = options.logger;
    this.#keepLog = options.keepLog;
    // At once for writing: a transaction that has read cannot wait for a lock any more.
    this.#begin = options.database.prepare("BEGIN IMMEDIATE");
    this.#commit = options.database.prepare("COMMIT");
    this.#rollback = options.database.prepare("ROLLBACK");
    this.#countChanges = options.database.prepare("SELECT total_changes() AS total");
  }

  /** Why everything is refused until the file is opened anew; undefined: it is not. */
  get fault(): StoreFault | undefined {
    return this.#isBroken ? this.#refusal : undefined;
  }

  submit<Answer>(run: () => Answer, urgency: Urgency = "running"): Promise<Answer> {
    if (this.#refusal !== undefined) return Promise.reject(this.#refusal);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ run, resolve, reject, urgency, isAlone: false, tries: 0 });
      this.#schedule();
    });
  }

  /** Before the first operation, where a log was left behind: the disk may not have it. */
  keepLog(): void {
    const keeping = this.#keepLog(false);
    this.#hold(keeping.then((error) => (error === null ? undefined : this.#lose(error))));
  }

  /** Finishes what was submitted; whatever comes later is refused. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#refusal ??= new StoreFault("not_applied", "The store is closed.");
    await this.#recovering;
    while (this.#waiting.length > 0) {
      await this.#held;
      if (this.#waiting.length > 0) this.#flushGroup();
    }
    await this.#held;
    await new Promise<void>((resolve) => this.#log.settled(() => resolve()));
  }

  /** Must not reject. */
  #hold(until: Promise<void>): void {
    const held = until.then(() => {
      if (this.#held === held) this.#held = undefined;
      if (this.#waiting.length > 0) this.#schedule();
    });
    this.#held = held;
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      if (this.#held !== undefined) return;
      // A few operations would wait for the next sync anyway: they share a transaction until then.
      if (this.#log.isRunning && this.#waiting.length < groupCommitOperationsMin) return;
      if (this.#waiting.length > 0) this.#flushGroup();
      if (this.#waiting.length > 0) this.#schedule();
    });
  }

  #flushGroup(): void {
    const group = this.#waiting;
    const [first] = group as [Operation, ...Operation[]];
    if (first.isAlone) {
      this.#waiting = group.slice(1);
      this.#runAlone(first);
      return;
    }
    const answers: unknown[] = [];
    const start = this.#clock.now();
    try {
      this.#begin.run();
      while (answers.length < Math.min(group.length, groupCommitOperationsMax)) {
        const operation = group[answers.length] as Operation;
        if (operation.isAlone) break;
        answers.push(operation.run());
        if (this.#clock.now() - start >= groupCommitMs) break;
      }
    } catch (error) {
      this.#undo();
      if (this.#waitsForLock(error)) return;
      // Then all of them wait still, and are tried again.
      if (this.#space.isFull(error) && this.#space.growFor("start")) return;
      for (const operation of group.slice(0, answers.length + 1)) operation.isAlone = true;
      return;
    }
    this.#waiting = group.slice(answers.length);
    this.#settle(group, answers);
  }

  /** Whether what could not begin waits, and is tried again. */
  #waitsForLock(error: unknown): boolean {
    if (!isLocked(error) || this.#lockedTries >= lockedTriesMax) return false;
    this.#lockedTries++;
    this.#hold(
      new Promise((resolve) => {
        this.#clock.after(lockedMs, resolve);
      }),
    );
    return true;
  }

  #runAlone(operation: Operation): void {
    const { urgency } = operation;
    let answer: unknown;
    try {
      answer = this.#space.withPagesFor(urgency, () => {
        this.#begin.run();
        return operation.run();
      });
    } catch (error) {
      this.#undo();
      if (this.#waitsForLock(error)) {
        this.#waiting = [operation, ...this.#waiting];
        return;
      }
      const isFull = this.#space.isFull(error);
      if (isFull && this.#space.growFor(urgency)) this.#runAlone(operation);
      else operation.reject(notApplied(error, isFull ? "exhausted" : "unavailable"));
      return;
    }
    this.#settle([operation], [answer]);
  }

  /** Writes the transaction, and answers once what it wrote, or may have read, is on disk. */
  #settle(operations: readonly Operation[], answers: readonly unknown[]): void {
    let hasWritten: boolean;
    try {
      const { total } = this.#countChanges.get() as { readonly total: number };
      hasWritten = total !== this.#changes;
      if (hasWritten) this.#space.keepAhead();
      this.#commit.run();
      this.#lockedTries = 0;
      this.#changes = total;
    } catch (error) {
      this.#undo();
      this.#refuse(operations.slice(0, answers.length), error);
      return;
    }
    const synced = (error: Error | null) => {
      if (error !== null) this.#lose(error);
      for (let i = 0; i < answers.length; i++) {
        if (error === null) operations[i]?.resolve(answers[i] as never);
        else operations[i]?.reject(syncFault(error));
      }
      if (this.#waiting.length > 0) this.#schedule();
    };
    const now = this.#clock.now();
    if (!hasWritten) {
      this.#log.settled(synced);
      return;
    }
    if (answers.length >= groupCommitOperationsMin) this.#busyUntil = now + busyMs;
    if (answers.length === 1 && now > this.#busyUntil) this.#log.syncAtOnce(synced);
    else this.#log.sync(synced);
    const until = this.#onFlush();
    if (until !== undefined) this.#hold(until);
  }

  /** Refuses everything until the disk has the log: once it has room, or after a restart. */
  #lose(cause: Error): void {
    const refusal = syncRefusal(cause);
    if (this.#refusal?.message !== refusal.message) this.#logger?.error(refusal.message);
    this.#refusal = refusal;
    for (const operation of this.#waiting.splice(0)) operation.reject(refusal);
    if (!isNoSpace(cause)) this.#isBroken = true;
    else if (!this.#isClosed) this.#recovering ??= this.#recover();
  }

  async #recover(): Promise<void> {
    let error = await this.#keepLog(true);
    while (error !== null && isNoSpace(error) && !this.#isClosed) {
      await pause(logKeepMs, this.#clock);
      error = await this.#keepLog(true);
    }
    this.#recovering = undefined;
    if (error !== null) {
      this.#lose(error);
      return;
    }
    if (!this.#isClosed) this.#refusal = undefined;
    this.#logger?.warn("the disk has the log again");
  }

  /** After a COMMIT that failed. Where the log found no room, room is made, and each tried again. */
  #refuse(operations: readonly Operation[], error: unknown): void {
    const isFull = this.#space.isFull(error);
    const fault = commitFault(error, isFull ? "exhausted" : "unavailable");
    const again = fault.outcome === "not_applied" && isFull;
    const others = operations.filter((operation) => {
      operation.isAlone = true;
      operation.tries += 1;
      if (again && operation.tries < triesMax) return true;
      operation.reject(fault);
      return false;
    });
    if (isFull) {
      const isStart = operations.every(({ urgency }) => urgency === "start");
      this.#hold(this.#onFull(isStart ? "start" : "running"));
    }
    this.#waiting = [...others, ...this.#waiting];
  }

  #undo(): void {
    this.#onRollback();
    if (this.#database.inTransaction) this.#rollback.run();
  }
}
