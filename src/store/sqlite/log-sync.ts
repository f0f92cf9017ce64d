/**
 * Puts the write-ahead log on disk while the event loop goes on. SQLite itself would sync in COMMIT
 * (`synchronous=FULL`) and stop everything for as long; with `NORMAL` it only writes, and what was
 * written counts once a sync that began later has ended. Frames carry a running checksum, so what
 * a crash leaves of the log is always its beginning: no transaction without those before it.
 *
 * A sync that fails says nothing of the next one: Linux takes the pages for clean, so that it succeeds
 * without them. After a failure the log counts as kept only where it was written again, synced, and
 * read back from the disk.
 */
import { closeSync, fdatasync, fdatasyncSync, openSync, read, write } from "node:fs";
import { findFunctions } from "./c-library.ts";
import { holdsFrames, type LogLength } from "./log-frames.ts";

type Callback = (error: Error | null) => void;

/** Puts on disk what was written to an open file, at once or aside. Tests bring one that fails. */
export interface Disk {
  sync(file: number): void;
  syncAside(file: number, callback: Callback): void;
}

const realDisk: Disk = { sync: fdatasyncSync, syncAside: fdatasync };

/** Of posix_fadvise: what is clean leaves the memory. */
const dontNeed = 4;

/** Of the log, put on disk again at once: whole pages of memory. */
const pieceBytes = 8 * 1024 * 1024;

function readAt(file: number, bytes: Buffer, place: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(file, bytes, 0, bytes.length, place, (error, count) =>
      error === null ? resolve(count) : reject(error),
    );
  });
}

function writeAt(file: number, bytes: Buffer, place: number): Promise<void> {
  return new Promise((resolve, reject) => {
    write(file, bytes, 0, bytes.length, place, (error, count) => {
      if (error !== null) reject(error);
      else if (count < bytes.length) reject(noSpace("a write was cut short"));
      else resolve();
    });
  });
}

function noSpace(message: string): Error {
  return Object.assign(new Error(message), { code: "ENOSPC" });
}

export class LogSync {
  /** The open log. */
  readonly file: number;
  readonly #libC = findFunctions({
    posix_fadvise: { args: ["i32", "i64", "i64", "i32"], returns: "i32" },
  });
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
   * As `sync`, but blocking: for a caller with nothing else to do, as it spares
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

  /** Calls back when the syncs requested before this call have ended: at once without any. */
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
      if (error !== null) ended.push(...this.#next.splice(0));
      else if (this.#next.length > 0) this.#start();
      for (const callback of ended) callback(error);
    });
  }

  /**
   * Puts the frames on disk once more, where a sync of them has failed; else only what is not there.
   * False: a part of them is lost. Throws what the disk refuses.
   */
  async keepAgain({ frames, bytes }: LogLength, hasFailed: boolean): Promise<boolean> {
    if (!hasFailed) await this.#syncAgain();
    for (let place = 0; place < bytes; place += pieceBytes) {
      const piece = Buffer.alloc(Math.min(pieceBytes, bytes - place));
      await readAt(this.file, piece, place);
      await this.#keepPiece(piece, place, hasFailed);
    }
    // What had left the memory before was read from the disk, as it was there.
    return await holdsFrames(this.file, frames);
  }

  #syncAgain(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#disk.syncAside(this.file, (error) => (error === null ? resolve() : reject(error)));
    });
  }

  /** The piece stays in memory until it is known to be on the disk: there may be no other copy. */
  async #keepPiece(piece: Buffer, place: number, hasFailed: boolean): Promise<void> {
    if (!hasFailed && (await this.#isOnDisk(piece, place))) return;
    await writeAt(this.file, piece, place);
    await this.#syncAgain();
    if (await this.#isOnDisk(piece, place)) return;
    await writeAt(this.file, piece, place);
    throw noSpace("what was synced is not there");
  }

  async #isOnDisk(piece: Buffer, place: number): Promise<boolean> {
    // Whole pages, to the end of the last one. Without such a call, what is read back is the memory's.
    this.#libC?.posix_fadvise(this.file, place, pieceBytes, dontNeed);
    const found = Buffer.alloc(piece.length);
    await readAt(this.file, found, place);
    return found.equals(piece);
  }

  /** Call it after all requested syncs have ended. */
  close(): void {
    closeSync(this.file);
  }
}
