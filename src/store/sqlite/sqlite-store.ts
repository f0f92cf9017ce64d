/**
 * The embedded store: one SQLite file, one process. Every operation runs synchronously inside the
 * group commit; this class only routes it there.
 */
import { Database } from "bun:sqlite";
import { existsSync, lstatSync, readlinkSync, realpathSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { type Clock, systemClock } from "../../base/clock.ts";
import { isOpenToOthers, makePrivateFile, makePrivateFolder } from "../../base/files.ts";
import { limits } from "../../base/limits.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import type { Logger } from "../../telemetry/log.ts";
import { purgedPerClaim } from "../rules.ts";
import type * as contract from "../store.ts";
import { Ballast } from "./ballast.ts";
import { DiskRoom, type Urgency } from "./disk-room.ts";
import { Documents } from "./documents.ts";
import { DueItems } from "./due.ts";
import { Executions } from "./executions.ts";
import { fileFault } from "./file-fault.ts";
import { isFull } from "./full.ts";
import { GroupCommit } from "./group-commit.ts";
import { type HeadRow, Heads } from "./heads.ts";
import { Housekeeper } from "./housekeeper.ts";
import { Listings } from "./listings.ts";
import { type FileLock, lockFile } from "./lock.ts";
import { type Disk, LogSync } from "./log-sync.ts";
import { Messages } from "./messages.ts";
import { Queues } from "./queues.ts";
import { Removal } from "./removal.ts";
import { RowLeases } from "./row-leases.ts";
import { prepareDatabase, settingOf, writeSetting } from "./schema.ts";
import { Tasks } from "./tasks.ts";
import { Timers } from "./timers.ts";

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

/** Throws a plain Error of one sentence when the file cannot be used. */
export function openSqliteStore(options: SqliteOptions): SqliteStore {
  try {
    return new SqliteStore(options);
  } catch (error) {
    throw fileFault(options.path, error);
  }
}

function openDatabase(options: SqliteOptions, ballast: Ballast): Database {
  const { path, namespace = "default", partitions } = options;
  let database: Database | undefined;
  try {
    database = new Database(path, { create: true, readwrite: true });
    const settings = { namespace, ...(partitions !== undefined && { partitions }) };
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

export class SqliteStore implements contract.Store {
  readonly traits: contract.Traits = {
    name: "sqlite",
    durability:
      "What is acknowledged is on disk (its log is synced first): it survives a crash of the " +
      "process and of the machine.",
    shared: false,
    usedMax: limits.storeUsedMax,
  };
  readonly partitions: number;
  readonly timeReached: number;
  readonly #lock: FileLock;
  readonly #database: Database;
  readonly #log: LogSync;
  readonly #ballast: Ballast;
  readonly #room: DiskRoom;
  readonly #group: GroupCommit;
  readonly #housekeeper: Housekeeper;
  readonly #heads: Heads;
  readonly #leases: RowLeases;
  readonly #tasks: Tasks;
  readonly #queues: Queues;
  readonly #timers: Timers;
  readonly #dueItems: DueItems;
  readonly #messages: Messages;
  readonly #removal: Removal;
  readonly #executions: Executions;
  readonly #listings: Listings;
  readonly #documents: Documents;
  #closed: Promise<void> | undefined;

  constructor(options: SqliteOptions) {
    const path = ownName(options.path);
    makePrivateFolder(dirname(path));
    if (existsSync(path)) warnOfOthers(path, options.log);
    else makePrivateFile(path);
    this.#lock = lockFile(path);
    this.#ballast = new Ballast(path);
    let database: Database;
    try {
      database = openDatabase({ ...options, path }, this.#ballast);
    } catch (error) {
      this.#lock.close();
      throw error;
    }
    this.#database = database;
    this.partitions = Number(settingOf(database, "partitions"));
    this.timeReached = Number(settingOf(database, "time") ?? 0);
    const heads = new Heads(database, this.partitions);
    const tasks = new Tasks(database);
    const timers = new Timers(database);
    const messages = new Messages(database);
    const removal = new Removal(database, heads);
    const leases = new RowLeases({ database, heads, tasks, partitions: this.partitions });
    const parts = { database, heads, tasks, timers, messages, removal, leases };
    this.#heads = heads;
    this.#leases = leases;
    this.#tasks = tasks;
    this.#queues = new Queues(database, leases);
    this.#timers = timers;
    this.#dueItems = new DueItems(database, leases);
    this.#messages = messages;
    this.#removal = removal;
    this.#executions = new Executions(parts);
    this.#listings = new Listings(database);
    this.#documents = new Documents(database);
    const clock = options.clock ?? systemClock;
    this.#log = new LogSync(path, options.disk);
    this.#room = new DiskRoom({
      ...{ database, path, log: this.#log.file, pagesMax: options.pagesMax },
      ballast: this.#ballast,
    });
    this.#housekeeper = new Housekeeper({
      ...{ database, path, logBytes: this.#room.shares.log, clock, log: options.log },
      fileBytes: () => this.#room.fileBytes,
      onCopied: () => this.#room.takeAgain(),
    });
    this.#group = new GroupCommit({
      ...{ database, clock, log: this.#log, room: this.#room },
      onRollback: () => {
        heads.forgetAll();
        leases.forgetAll();
        this.#listings.onRollback();
      },
      onFlush: () => this.#housekeeper.afterFlush(),
      onFull: (urgency) => this.#makeLogRoom(urgency),
    });
  }

  /** The log could not grow: it is started anew if it can be; else the ballast makes way, not for a start. */
  async #makeLogRoom(urgency: Urgency): Promise<void> {
    await this.#housekeeper.clearLog();
    if (this.#housekeeper.logBytes > 0 && urgency !== "start") this.#ballast.letGo();
  }

  /** An execution with all its tasks in their table. */
  #withTasks(key: ExecutionKey): HeadRow | undefined {
    const row = this.#heads.find(key);
    if (row !== undefined) this.#leases.moveOut(row, key);
    return row;
  }

  create(request: contract.CreateRequest): Promise<contract.CreateAnswer> {
    return this.#group.submit(() => this.#executions.create(request), "start");
  }

  load(request: contract.LoadRequest): Promise<contract.LoadAnswer> {
    return this.#group.submit(() => this.#executions.load(request));
  }

  commit(request: contract.CommitRequest): Promise<contract.CommitAnswer> {
    return this.#group.submit(() => this.#executions.commit(request));
  }

  claimTasks(request: contract.ClaimTasksRequest): Promise<contract.ClaimTasksAnswer> {
    return this.#group.submit(() => this.#queues.claim(request));
  }

  claimTask(
    request: Parameters<contract.Store["claimTask"]>[0],
  ): Promise<contract.LeasedTask | undefined> {
    return this.#group.submit(() => {
      const row = this.#withTasks(request.key);
      if (row?.tombstoneUntil !== null) return undefined;
      const { partition } = request.key;
      return this.#queues.claimOne(row.number, { ...request, partition });
    });
  }

  extendLeases(
    request: Parameters<contract.Store["extendLeases"]>[0],
  ): Promise<readonly contract.ExtendAnswer[]> {
    const { leases, now, lateMs = 0 } = request;
    return this.#group.submit(() =>
      leases.map(({ key, ...lease }): contract.ExtendAnswer => {
        const row = this.#withTasks(key);
        if (row === undefined) return { outcome: "stale" };
        return this.#tasks.extend(row.number, { ...lease, now, lateMs });
      }),
    );
  }

  releaseTasks(
    request: Parameters<contract.Store["releaseTasks"]>[0],
  ): Promise<readonly ("released" | "stale")[]> {
    const { tasks, now } = request;
    return this.#group.submit(() =>
      tasks.map(({ key, ...task }) => {
        const row = this.#withTasks(key);
        return row === undefined ? "stale" : this.#tasks.release(row, { ...task, now });
      }),
    );
  }

  claimDue(request: contract.ClaimDueRequest): Promise<contract.ClaimDueAnswer> {
    return this.#group.submit(() => {
      this.#tasks.purgeDropped(request.partition, request.now);
      const { partition, now } = request;
      const isMore = this.#removal.purgeExpired(partition, now, purgedPerClaim);
      const answer = this.#dueItems.claim(request);
      return isMore ? { ...answer, nextDue: now } : answer;
    });
  }

  listTimers(
    request: Parameters<contract.Store["listTimers"]>[0],
  ): Promise<readonly contract.TimerPlace[]> {
    return this.#group.submit(() => this.#timers.list(request));
  }

  claimOutbox(
    request: contract.ClaimDueRequest,
  ): Promise<{ readonly messages: readonly contract.OutboxMessage[]; readonly nextDue?: number }> {
    return this.#group.submit(() => this.#messages.claim(request));
  }

  ackOutbox(request: Parameters<contract.Store["ackOutbox"]>[0]): Promise<void> {
    return this.#group.submit(() => {
      for (const { key, id } of request.messages) {
        const row = this.#heads.find(key);
        if (row !== undefined) this.#messages.acknowledge(row.number, id);
      }
    });
  }

  remove(
    request: Parameters<contract.Store["remove"]>[0],
  ): Promise<"removed" | "more" | "conflict" | "not_found"> {
    const remove = () => {
      this.#withTasks(request.key);
      return this.#removal.remove(request);
    };
    return this.#group.submit(remove, "removal");
  }

  holdings(key: ExecutionKey): Promise<contract.Holdings> {
    return this.#group.submit(() => {
      const row = this.#withTasks(key);
      if (row?.tombstoneUntil !== null) return { tasks: [], timers: [], messages: [] };
      const { number } = row;
      return {
        tasks: this.#tasks.of(number),
        timers: this.#timers.of(number),
        messages: this.#messages.of(number),
      };
    });
  }

  list(request: contract.ListRequest): Promise<contract.ListAnswer> {
    return this.#group.submit(() => this.#listings.list(request));
  }

  /** Of all partitions; no other version changes the file without the index. */
  indexExecutions({ limit }: { readonly limit: number }): Promise<"done" | "more"> {
    return this.#group.submit(() => this.#listings.pairSome(limit));
  }

  history(request: {
    readonly key: ExecutionKey;
    readonly after: number;
    readonly limit: number;
  }): Promise<readonly JsonText[]> {
    return this.#group.submit(() => {
      const row = this.#heads.live(request.key);
      if (row === undefined) return [];
      return this.#executions.history(row, request);
    });
  }

  queueStats(request: {
    readonly partition: number;
    readonly queue?: string;
  }): Promise<readonly contract.QueueStats[]> {
    return this.#group.submit(() => this.#queues.stats(request));
  }

  queueHints(request: { readonly partition: number }): Promise<readonly string[]> {
    return this.#group.submit(() => this.#queues.hints(request.partition));
  }

  pressure(): Promise<contract.Pressure> {
    return this.#group.submit(() => {
      const { used, left } = this.#room.read();
      if (left > 0) this.#ballast.make(this.#room.shares.ballast);
      const isLogTooLong = this.#housekeeper.logBytes > limits.logBytesHeldMax;
      return {
        used: isLogTooLong ? Math.max(1, used) : used,
        tombstones: this.#removal.tombstones,
        left: isLogTooLong ? 0 : left,
        // The pages of what is removed are of no use to anybody while the log takes the room.
        removalHelps: !this.#housekeeper.isHeldBack,
      };
    });
  }

  complaint(): string | undefined {
    if (!this.#housekeeper.isHeldBack) return undefined;
    const mebibytes = Math.round(this.#housekeeper.logBytes / 1024 / 1024);
    return `A reader of its file holds back its write-ahead log, now ${mebibytes} MiB.`;
  }

  broken(): string | undefined {
    return this.#group.fault?.message;
  }

  logBytes(): number {
    return this.#housekeeper.logBytes;
  }

  getDocument(request: { kind: string; id: string }): Promise<contract.Document | undefined> {
    return this.#group.submit(() => this.#documents.get(request.kind, request.id));
  }

  putDocument(request: Parameters<contract.Store["putDocument"]>[0]): Promise<contract.PutAnswer> {
    return this.#group.submit(() => this.#documents.put(request));
  }

  listDocuments(
    request: Parameters<contract.Store["listDocuments"]>[0],
  ): Promise<readonly contract.Document[]> {
    return this.#group.submit(() => this.#documents.list(request));
  }

  deleteDocument(request: { kind: string; id: string }): Promise<boolean> {
    return this.#group.submit(() => this.#documents.delete(request.kind, request.id));
  }

  beatServer(request: Parameters<contract.Store["beatServer"]>[0]): Promise<void> {
    return this.#group.submit(() => {
      writeSetting(this.#database, "time", request.now);
      this.#documents.beat(request);
    });
  }

  listServers(request: {
    now: number;
  }): Promise<readonly { readonly id: string; readonly body: JsonText }[]> {
    return this.#group.submit(() => this.#documents.servers(request.now));
  }

  leaveServer(request: { id: string }): Promise<void> {
    return this.#group.submit(() => this.#documents.leave(request.id));
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.#group.close();
    await this.#housekeeper.close();
    await this.#ballast.close();
    this.#log.close();
    // Statements are finalized too: only then is the log copied into the file and removed.
    this.#database.close(true);
    this.#room.close();
    this.#lock.close();
  }
}
