/**
 * Puts the write-ahead log on disk while the event loop goes on. SQLite itself would sync in COMMIT
 * (`synchronous=FULL`) and stop everything for as long; with `NORMAL` it only writes, and what was
 * written counts once a sync that began later has ended. Frames carry a running checksum, so what
 * a crash leaves of the log is always its beginning: no transaction without those before it.
 */
import { closeSync, fdatasync, fdatasyncSync, openSync } from "node:fs";

type Callback = (error: Error | null) => void;

/** Puts on disk what was written to an open file, at once or aside. Tests bring one that fails. */
export interface Disk {
  sync(file: number): void;
  syncAside(file: number, callback: Callback): void;
}

const realDisk: Disk = { sync: fdatasyncSync, syncAside: fdatasync };

export class LogSync {
  /** The open log. */
  readonly file: number;
  readonly #disk: Disk;
  /** What waits for the sync that is under way, and what came too late for it. */
  #current: Callback[] = [];
  #next: Callback[] = [];

  constructor(databasePath: string, disk: Disk = realDisk) {
    this.file = openSync(`${databasePath}-wal`, "r+");
    this.#disk = disk;
  }

  get isRunning(): boolean {
    return this.#current.length > 0;
  }

  /**
   * As `sync`, without going on meanwhile: of use where there is nothing else to do, as it spares
   * the way to another thread and back.
   */
  syncAtOnce(callback: Callback): void {
    if (this.isRunning) {
      this.sync(callback);
      return;
    }
    let fault: Error | null = null;
    try {
      this.#disk.sync(this.file);
    } catch (error) {
      fault = error as Error;
    }
    callback(fault);
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
    this.#disk.syncAside(this.file, (error) => {
      const ended = this.#current;
      this.#current = [];
      if (this.#next.length > 0) this.#start();
      for (const callback of ended) callback(error);
    });
  }

  /** All that was asked for must have ended. */
  close(): void {
    closeSync(this.file);
  }
}
