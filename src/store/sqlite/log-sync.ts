/**
 * Puts the write-ahead log on disk while the event loop goes on. SQLite itself would sync in COMMIT
 * (`synchronous=FULL`) and stop everything for as long; with `NORMAL` it only writes, and what was
 * written counts once a sync that began later has ended. Frames carry a running checksum, so what
 * a crash leaves of the log is always its beginning: no transaction without those before it.
 */
import { closeSync, fdatasync, openSync } from "node:fs";

type Callback = (error: Error | null) => void;

/** Puts on disk what was written to an open file: fdatasync, or a test's disk. */
export type SyncFile = (file: number, callback: Callback) => void;

export class LogSync {
  readonly #file: number;
  readonly #syncFile: SyncFile;
  /** What waits for the sync that is under way, and what came too late for it. */
  #current: Callback[] = [];
  #next: Callback[] = [];

  constructor(databasePath: string, syncFile: SyncFile = fdatasync) {
    this.#file = openSync(`${databasePath}-wal`, "r+");
    this.#syncFile = syncFile;
  }

  get isRunning(): boolean {
    return this.#current.length > 0;
  }

  /** Calls back when all that was written before this call is on disk, or could not be put there. */
  sync(callback: Callback): void {
    this.#next.push(callback);
    if (!this.isRunning) this.#start();
  }

  /** Calls back when the syncs asked for before this call have ended: at once without any. */
  settled(callback: Callback): void {
    const last = this.#next.length > 0 ? this.#next : this.#current;
    if (last.length > 0) last.push(callback);
    else callback(null);
  }

  #start(): void {
    this.#current = this.#next;
    this.#next = [];
    this.#syncFile(this.#file, (error) => {
      const ended = this.#current;
      this.#current = [];
      if (this.#next.length > 0) this.#start();
      for (const callback of ended) callback(error);
    });
  }

  /** All that was asked for must have ended. */
  close(): void {
    closeSync(this.#file);
  }
}
