/**
 * The room of the file on its disk. The file takes blocks of the disk before pages are written to the
 * log, and SQLite is not let beyond them (`max_page_count`): so the log can always be copied into
 * the file, however full others make the disk. New blocks are taken only while the disk keeps a
 * floor free and whatever the log may still grow by.
 *
 * Free pages within the file are room as well, as they need no blocks, only the log.
 */
import { constants, type Database, type Statement } from "bun:sqlite";
import { closeSync, fstatSync, openSync, statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { limits } from "../../base/limits.ts";
import { findFunctions } from "./c-library.ts";
import { isOutOfRoom } from "./full.ts";

/** How a disk of this size is divided, in bytes. */
export interface DiskShares {
  /** Kept for the log and for what runs already; `log` and `floor` are parts of it. */
  readonly reserve: number;
  readonly log: number;
  readonly floor: number;
  /** A part of the floor. */
  readonly ballast: number;
  readonly step: number;
}

const stepUnit = 64 * 1024;

export function shareDisk(diskBytes: number): DiskShares {
  const reserve = Math.min(limits.diskReservedBytes, Math.floor(diskBytes / 2));
  const share = (bytes: number) => Math.floor((bytes * reserve) / limits.diskReservedBytes);
  return {
    ...{ reserve, log: share(limits.logBytesMax), floor: share(limits.diskFloorBytes) },
    ballast: share(limits.ballastBytes),
    step: Math.max(1, Math.floor(share(limits.fileStepBytes) / stepUnit)) * stepUnit,
  };
}

export interface RoomReading {
  /** Share of the room in use; above 1 where even what is kept for running work is. */
  readonly used: number;
  /** Bytes that new executions may take. */
  readonly left: number;
}

export class DiskRoom {
  readonly shares: DiskShares;
  readonly #database: Database;
  readonly #path: string;
  readonly #folder: string;
  /** Of the log. */
  readonly #log: number;
  readonly #heldBytes: () => number;
  /** The store's file, open: closing it would end the locks of SQLite on it. */
  readonly #file: number;
  readonly #libC = findFunctions({
    posix_fallocate: { args: ["i32", "i64", "i64"], returns: "i32" },
  });
  readonly #pageBytes: number;
  readonly #pagesMax: number;
  readonly #pageCount: Statement<{ readonly page_count: number }>;
  readonly #freeCount: Statement<{ readonly freelist_count: number }>;
  /** Pages for which the file has blocks. */
  #pages = 0;

  constructor(options: {
    readonly database: Database;
    readonly path: string;
    /** Open file of the log. */
    readonly log: number;
    readonly pagesMax: number | undefined;
    /** Bytes of the ballast that is on the disk now. */
    readonly heldBytes: () => number;
  }) {
    const { database, path, log, heldBytes } = options;
    this.#database = database;
    this.#path = path;
    this.#folder = dirname(path);
    this.#log = log;
    this.#heldBytes = heldBytes;
    this.#file = openSync(path, "r+");
    this.#pageCount = database.prepare("PRAGMA page_count");
    this.#freeCount = database.prepare("PRAGMA freelist_count");
    this.#pageBytes = Number(database.query("PRAGMA page_size").values()[0]?.[0]);
    this.#pagesMax = options.pagesMax ?? Number.POSITIVE_INFINITY;
    const { blocks, bsize } = statfsSync(this.#folder);
    this.shares = shareDisk(blocks * bsize);
    takeInSteps(database, this.shares.step);
    // What an earlier life of the server has taken ahead is still taken.
    this.#pages = Math.max(this.#count(), Math.floor(statSync(path).size / this.#pageBytes));
    this.takeAgain();
    this.#bound();
  }

  get #free(): number {
    return (this.#freeCount.get() as { freelist_count: number }).freelist_count;
  }

  #count(): number {
    return (this.#pageCount.get() as { page_count: number }).page_count;
  }

  /** Bytes of the disk that are free for anybody, and what the log may still take of them. */
  #disk(): { readonly free: number; readonly logLeft: number } {
    const { bavail, bsize } = statfsSync(this.#folder);
    const logLeft = Math.max(0, this.shares.log - fstatSync(this.#log).size);
    return { free: bavail * bsize, logLeft };
  }

  /** Bytes by which the file may grow without touching what must stay free. */
  #growable(): number {
    const { free, logLeft } = this.#disk();
    // What a copy of the log has just cut off is taken again.
    const cut = Math.max(0, this.#pages * this.#pageBytes - statSync(this.#path).size);
    return free + this.#heldBytes() - cut - logLeft - this.shares.floor;
  }

  /** Called in each transaction that has written: the next ones find room in the file. */
  keepAhead(): void {
    const ahead = (this.#pages - this.#count() + this.#free) * this.#pageBytes;
    if (ahead < limits.fileAheadBytes) this.grow();
  }

  /** False when the disk, or the bound on pages, has no room for more. */
  grow(): boolean {
    if (this.#pages >= this.#pagesMax) return false;
    const { step } = this.shares;
    const wanted = limits.fileAheadBytes + step;
    const steps = Math.floor(Math.min(wanted, this.#growable()) / step);
    if (steps < 1) return false;
    const pages = this.#pages + Math.floor((steps * step) / this.#pageBytes);
    if (!this.#take(pages)) return false;
    this.#pages = pages;
    this.#bound();
    return true;
  }

  /** A copy of the whole log cuts off what the file has taken ahead. */
  takeAgain(): void {
    this.#take(this.#pages);
  }

  /** False when the disk has too few blocks. */
  #take(pages: number): boolean {
    const end = pages * this.#pageBytes;
    const { size } = fstatSync(this.#file);
    if (size >= end) return true;
    // What SQLite has rounded up to a step may be a hole.
    const start = Math.max(0, size - this.shares.step);
    if (this.#libC?.posix_fallocate(this.#file, start, end - start) === 0) return true;
    // SQLite itself writes a byte to each block.
    const bytes = new BigInt64Array([BigInt(end)]);
    try {
      return this.#database.fileControl(constants.SQLITE_FCNTL_SIZE_HINT, bytes) === 0;
    } catch {
      return false;
    }
  }

  /** SQLite itself refuses what would go beyond. */
  #bound(kept: number = limits.removalPages): void {
    const pages = Math.max(1, Math.min(this.#pagesMax, this.#pages - kept));
    this.#database.run(`PRAGMA max_page_count = ${pages}`);
  }

  isFull(error: unknown): boolean {
    return isOutOfRoom(error, `${this.#path}.probe`);
  }

  /** Lets the work, a removal, take the pages that are kept for it. */
  withAllPages<T>(work: () => T): T {
    this.#bound(0);
    try {
      return work();
    } finally {
      this.#bound();
    }
  }

  /** After the database. */
  close(): void {
    closeSync(this.#file);
  }

  read(): RoomReading {
    const pages = this.#count();
    const free = this.#free;
    const { reserve, log, floor } = this.shares;
    const running = reserve - log - floor;
    const inFile = this.#pages - pages + free;
    const onDisk = inFile * this.#pageBytes + this.#growable() - running;
    const inBound = (this.#pagesMax - pages + free) * this.#pageBytes;
    const room = Math.min(onDisk, inBound);
    const usedBytes = (pages - free) * this.#pageBytes;
    const capacity = Math.max(1, usedBytes + Math.max(0, room));
    const used = room < 0 ? 1 - room / capacity : usedBytes / capacity;
    // Beyond the share at which starts are refused: this bounds what comes between two readings.
    const most = (1 + limits.storeUsedMax) / 2;
    return { used, left: Math.max(0, capacity * most - usedBytes) };
  }
}

/** The file grows, and is cut, by whole steps; copies of the log are made by connections that do so. */
export function takeInSteps(database: Database, bytes: number): void {
  database.fileControl(constants.SQLITE_FCNTL_CHUNK_SIZE, new Int32Array([bytes, 0]));
}
