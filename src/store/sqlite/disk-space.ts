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
import type { Ballast } from "./ballast.ts";
import { findFunctions } from "./c-library.ts";
import { isOutOfSpace } from "./full.ts";

/** Steps in which the file takes room on the disk. */
const fileStepBytes = 1024 * 1024;
/** Pages that only removals may use: they need some before they free more. */
const removalPages = 64;

/** How a disk of this size is divided, in bytes. */
interface DiskShares {
  /** Kept for the log and for what runs already; `log` and `floor` are parts of it. */
  readonly reserve: number;
  readonly log: number;
  readonly floor: number;
  /** A part of the floor. */
  readonly ballast: number;
  /** Of the blocks that the file has, what starts leave to what runs already. */
  readonly running: number;
  readonly step: number;
}

/** What an operation is to a full store: each takes pages that those before it leave. */
export type Urgency = "start" | "running" | "removal";

const stepUnit = 64 * 1024;

export function shareDisk(diskBytes: number): DiskShares {
  const reserve = Math.min(limits.diskReservedBytes, Math.floor(diskBytes / 2));
  const share = (bytes: number) => Math.floor((bytes * reserve) / limits.diskReservedBytes);
  return {
    reserve,
    log: share(limits.logBytesMax),
    floor: share(limits.diskFloorBytes),
    ballast: share(limits.ballastBytes),
    running: share(limits.fileRunningBytes),
    step: Math.max(1, Math.floor(share(fileStepBytes) / stepUnit)) * stepUnit,
  };
}

interface SpaceReading {
  /** Share of the room in use; above 1 where even what is kept for running work is. */
  readonly used: number;
  /** Bytes that new executions may take. */
  readonly left: number;
}

export class DiskSpace {
  readonly shares: DiskShares;
  readonly #database: Database;
  readonly #path: string;
  readonly #folder: string;
  /** Of the log. */
  readonly #log: number;
  readonly #ballast: Ballast;
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
    readonly ballast: Ballast;
  }) {
    const { database, path, log, ballast } = options;
    this.#database = database;
    this.#path = path;
    this.#folder = dirname(path);
    this.#log = log;
    this.#ballast = ballast;
    this.#file = openSync(path, "r+");
    this.#pageCount = database.prepare("PRAGMA page_count");
    this.#freeCount = database.prepare("PRAGMA freelist_count");
    this.#pageBytes = Number(database.query("PRAGMA page_size").values()[0]?.[0]);
    this.#pagesMax = options.pagesMax ?? Number.POSITIVE_INFINITY;
    const { blocks, bsize } = statfsSync(this.#folder);
    this.shares = shareDisk(blocks * bsize);
    // What an earlier life of the server has taken ahead is still taken.
    this.#setPages(this.#pagesOfFile());
    this.takeAgain();
    this.keepAhead();
    while (this.#ahead < this.#kept("start") * this.#pageBytes && this.#growFromReserve());
  }

  /** Bytes that the file has blocks for. */
  get fileBytes(): number {
    return this.#pages * this.#pageBytes;
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
    return free + this.#ballast.bytes - logLeft - this.shares.floor;
  }

  /** Bytes that can be written without the file's growing. */
  get #ahead(): number {
    return (this.#pages - this.#count() + this.#free) * this.#pageBytes;
  }

  /**
   * Called in each transaction that has written, where its counts need no lock of their own: the next
   * ones find room in the file.
   */
  keepAhead(): void {
    if (this.#ahead < limits.fileAheadBytes) this.#grow();
  }

  /** Lets the file take more of its disk; false when the disk is full, or at the bound on pages. */
  growFor(urgency: Urgency): boolean {
    return this.#grow() || (urgency !== "start" && this.#growFromReserve());
  }

  #grow(): boolean {
    const { step } = this.shares;
    const wanted = limits.fileAheadBytes + step;
    return this.#growBy(Math.floor(Math.min(wanted, this.#growable()) / step));
  }

  /** Takes of what is kept for the log, but for half of the ballast: the log can be started anew. */
  #growFromReserve(): boolean {
    const { step, ballast } = this.shares;
    const { free } = this.#disk();
    if (free + this.#ballast.bytes - step < ballast / 2) return false;
    if (free < step) this.#ballast.letGo();
    return this.#growBy(1);
  }

  #growBy(steps: number): boolean {
    if (steps < 1 || this.#pages - this.#kept("start") >= this.#pagesMax) return false;
    const pages = this.#pages + Math.floor((steps * this.shares.step) / this.#pageBytes);
    if (!this.#take(pages)) return false;
    this.#setPages(pages);
    return true;
  }

  /** A copy of the log cuts off what the file has taken since the copy began. */
  takeAgain(): void {
    if (!this.#take(this.#pages)) this.#setPages(this.#pagesOfFile());
  }

  #setPages(pages: number): void {
    this.#pages = pages;
    keepLength(this.#database, this.fileBytes);
    this.#bound();
  }

  #pagesOfFile(): number {
    return Math.max(this.#count(), Math.floor(statSync(this.#path).size / this.#pageBytes));
  }

  /** False when the disk has too few blocks. */
  #take(pages: number): boolean {
    const end = pages * this.#pageBytes;
    const { size } = fstatSync(this.#file);
    if (size >= end) return true;
    // What SQLite has rounded up may be a hole.
    const start = Math.max(0, size - this.shares.step);
    if (this.#libC?.posix_fallocate(this.#file, start, end - start) === 0) return true;
    // SQLite itself writes a byte to each block.
    keepLength(this.#database, end);
    const bytes = new BigInt64Array([BigInt(end)]);
    try {
      return this.#database.fileControl(constants.SQLITE_FCNTL_SIZE_HINT, bytes) === 0;
    } catch {
      return false;
    } finally {
      keepLength(this.#database, this.fileBytes);
    }
  }

  /** Pages of the file that are not for operations of this urgency. */
  #kept(urgency: Urgency): number {
    if (urgency === "removal") return 0;
    const forRunning = Math.ceil(this.shares.running / this.#pageBytes);
    return removalPages + (urgency === "start" ? forRunning : 0);
  }

  /** SQLite itself refuses what would go beyond. */
  #bound(urgency: Urgency = "start"): void {
    const pages = Math.max(1, Math.min(this.#pagesMax, this.#pages - this.#kept(urgency)));
    this.#database.run(`PRAGMA max_page_count = ${pages}`);
  }

  /** Whether it failed for want of room. */
  isFull(error: unknown): boolean {
    return isOutOfSpace(error, `${this.#path}.probe`);
  }

  /** Lets the work take the pages that are kept for it. */
  withPagesFor<T>(urgency: Urgency, work: () => T): T {
    this.#bound(urgency);
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

  read(): SpaceReading {
    const pages = this.#count();
    const free = this.#free;
    const { reserve, log, floor } = this.shares;
    const onDisk = this.#ahead + this.#growable() - (reserve - log - floor);
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

const chunkBytesMax = 2 ** 30;

/**
 * Copies of the log that this connection makes leave the file as long as this: SQLite cuts it where
 * its pages end, but only by whole chunks.
 */
export function keepLength(database: Database, bytes: number): void {
  const chunks = Math.ceil(bytes / chunkBytesMax);
  const chunkBytes = new Int32Array([Math.ceil(bytes / chunks), 0]);
  database.fileControl(constants.SQLITE_FCNTL_CHUNK_SIZE, chunkBytes);
}
