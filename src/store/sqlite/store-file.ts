/**
 * The file of an embedded store with all that keeps it: its lock, its log, its room on the disk, and
 * the group commit through which everything reads and writes it.
 */

import { Database } from "bun:sqlite";
import { existsSync, lstatSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { type Clock, systemClock } from "../../base/clock.ts";
import { defined } from "../../base/defined.ts";
import { isOpenToOthers, makePrivateFile, makePrivateFolder } from "../../base/files.ts";
import { limits } from "../../base/limits.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Pressure } from "../store.ts";
import { Ballast } from "./ballast.ts";
import { DiskSpace, type Urgency } from "./disk-space.ts";
import { isFull, isNoSpace } from "./full.ts";
import { GroupCommit } from "./group-commit.ts";
import { Housekeeper } from "./housekeeper.ts";
import { type FileLock, lockFile } from "./lock.ts";
import { type Disk, LogSync } from "./log-sync.ts";
import { prepareDatabase } from "./schema.ts";

export interface SqliteOptions {
  /** The file; its folder is made when it does not exist. */
  readonly path: string;
  /** Absent: as the file was made; a new one gets limits.partitionsEmbeddedDefault. */
  readonly partitions?: number;
  readonly namespace?: string;
  /** Most pages of 4 KiB that the file may grow to. */
  readonly pagesMax?: number;
  /** Bounds how long a group commit may take; nothing stored comes from it. */
  readonly clock?: Clock;
  readonly disk?: Disk;
  readonly log?: Logger;
}

function openDatabase(options: SqliteOptions, ballast: Ballast): Database {
  const { path, namespace = "default", partitions } = options;
  let database: Database | undefined;
  try {
    database = new Database(path, { create: true, readwrite: true });
    const settings = { namespace, ...defined({ partitions }) };
    prepareDatabase(database, path, settings);
    return database;
  } catch (error) {
    database?.close();
    if (isFull(error) && ballast.letGo()) return openDatabase(options, ballast);
    throw error;
  }
}

/** Of the file itself where a symbolic link leads to it: its log and its lock lie beside the file. */
function ownName(path: string): string {
  if (existsSync(path)) return realpathSync(path);
  const isLink = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  return isLink ? ownName(resolve(dirname(path), readlinkSync(path))) : path;
}

function warnOfOthers(path: string, log: Logger | undefined): void {
  if (!isOpenToOthers(path)) return;
  const message =
    "other users of this machine can read the store's file: chmod 600 takes that away";
  log?.warn(message, { path });
}

export class StoreFile {
  readonly database: Database;
  readonly group: GroupCommit;
  readonly #lock: FileLock;
  readonly #log: LogSync;
  readonly #ballast: Ballast;
  readonly #space: DiskSpace;
  readonly #housekeeper: Housekeeper;

  /** `onRollback` is called when whatever was cached of the database may be wrong. */
  constructor(options: SqliteOptions, onRollback: () => void) {
    const path = ownName(options.path);
    makePrivateFolder(dirname(path));
    if (existsSync(path)) warnOfOthers(path, options.log);
    else makePrivateFile(path);
    this.#lock = lockFile(path);
    this.#ballast = new Ballast(path);
    const leftBytes = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
    let database: Database;
    try {
      database = openDatabase({ ...options, path }, this.#ballast);
    } catch (error) {
      this.#lock.close();
      throw error;
    }
    this.database = database;
    const clock = options.clock ?? systemClock;
    this.#log = new LogSync(path, options.disk);
    this.#space = new DiskSpace({
      database,
      path,
      log: this.#log.file,
      pagesMax: options.pagesMax,
      ballast: this.#ballast,
    });
    this.#housekeeper = new Housekeeper({
      database,
      path,
      logBytes: this.#space.shares.log,
      clock,
      log: options.log,
      fileBytes: () => this.#space.fileBytes,
      onCopied: () => this.#space.takeAgain(),
    });
    this.group = new GroupCommit({
      database,
      clock,
      log: this.#log,
      space: this.#space,
      logger: options.log,
      onRollback,
      onFlush: () => this.#housekeeper.afterFlush(),
      onFull: (urgency) => this.#makeLogSpace(urgency),
      keepLog: (hasFailed) => this.#keepLog(hasFailed),
    });
    if (leftBytes > 0) this.group.keepLog();
  }

  /** Null: the disk has the log. */
  async #keepLog(hasFailed: boolean): Promise<Error | null> {
    try {
      const isKept = await this.#log.keepAgain(this.#housekeeper.length, hasFailed);
      return isKept ? null : new Error("a part of it is lost");
    } catch (error) {
      if (isNoSpace(error) && this.#ballast.letGo()) return await this.#keepLog(true);
      return error as Error;
    }
  }

  /** The log could not grow: it is started anew if it can be; else the ballast makes way, not for a start. */
  async #makeLogSpace(urgency: Urgency): Promise<void> {
    await this.#housekeeper.clearLog();
    if (this.#housekeeper.logBytes > 0 && urgency !== "start") this.#ballast.letGo();
  }

  /** Within the group commit. */
  pressure(): Pressure {
    const { used, left } = this.#space.read();
    if (left > 0) this.#ballast.make(this.#space.shares.ballast);
    const isLogTooLong = this.#housekeeper.logBytes > limits.logBytesForStartsMax;
    return {
      used: isLogTooLong ? Math.max(1, used) : used,
      left: isLogTooLong ? 0 : left,
      // The pages of what is removed are of no use to anybody while the log takes the room.
      removalHelps: !this.#housekeeper.isHeldBack,
    };
  }

  complaint(): string | undefined {
    if (!this.#housekeeper.isHeldBack) return undefined;
    const mebibytes = Math.round(this.logBytes / 1024 / 1024);
    return `A reader of its file holds back its write-ahead log, now ${mebibytes} MiB.`;
  }

  get logBytes(): number {
    return this.#housekeeper.logBytes;
  }

  async close(): Promise<void> {
    await this.group.close();
    await this.#housekeeper.close();
    await this.#ballast.close();
    this.#log.close();
    // Statements are finalized too: only then is the log copied into the file and removed.
    this.database.close(true);
    this.#space.close();
    this.#lock.close();
  }
}
