/**
 * The embedded store: one SQLite file, one process. Every operation runs synchronously inside the
 * group commit; this class only routes it there.
 */
import { Database } from "bun:sqlite";
import { mkdirSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { type Clock, systemClock } from "../../clock.ts";
import { limits } from "../../limits.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import { purgedPerClaim } from "../rules.ts";
import type * as contract from "../store.ts";
import { Documents } from "./documents.ts";
import { DueItems } from "./due.ts";
import { Executions } from "./executions.ts";
import { GroupCommit } from "./group-commit.ts";
import { type HeadRow, Heads } from "./heads.ts";
import { Housekeeper } from "./housekeeper.ts";
import { Listings } from "./listings.ts";
import { lockFile } from "./lock.ts";
import { type Disk, LogSync } from "./log-sync.ts";
import { Messages } from "./messages.ts";
import { Queues } from "./queues.ts";
import { Removal } from "./removal.ts";
import { RowLeases } from "./row-leases.ts";
import { prepareDatabase, settingOf } from "./schema.ts";
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
}

/** Throws a plain Error of one sentence when the file cannot be used. */
export function openSqliteStore(options: SqliteOptions): SqliteStore {
  return new SqliteStore(options);
}

function openDatabase(options: SqliteOptions, lock: Database): Database {
  const { path, namespace = "default", pagesMax } = options;
  let database: Database | undefined;
  try {
    database = new Database(path, { create: true, readwrite: true });
    prepareDatabase(database, path, {
      namespace,
      ...(options.partitions !== undefined && { partitions: options.partitions }),
    });
    if (pagesMax !== undefined) database.run(`PRAGMA max_page_count = ${pagesMax}`);
    return database;
  } catch (error) {
    database?.close();
    lock.close();
    throw error;
  }
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
  readonly #folder: string;
  readonly #lock: Database;
  readonly #database: Database;
  readonly #log: LogSync;
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
    this.#folder = dirname(options.path);
    mkdirSync(this.#folder, { recursive: true });
    this.#lock = lockFile(options.path);
    const database = openDatabase(options, this.#lock);
    this.#database = database;
    this.partitions = Number(settingOf(database, "partitions"));
    const heads = new Heads(database, this.partitions);
    const tasks = new Tasks(database);
    const timers = new Timers(database);
    const messages = new Messages(database);
    const removal = new Removal(database, heads);
    const leases = new RowLeases({ database, heads, tasks, partitions: this.partitions });
    this.#heads = heads;
    this.#leases = leases;
    this.#tasks = tasks;
    this.#queues = new Queues(database, leases);
    this.#timers = timers;
    this.#dueItems = new DueItems(database, leases);
    this.#messages = messages;
    this.#removal = removal;
    this.#executions = new Executions({
      database,
      heads,
      tasks,
      timers,
      messages,
      removal,
      leases,
    });
    this.#listings = new Listings(database);
    this.#documents = new Documents(database);
    this.#housekeeper = new Housekeeper(database, options.path);
    this.#log = new LogSync(options.path, options.disk);
    this.#group = new GroupCommit({
      database,
      clock: options.clock ?? systemClock,
      log: this.#log,
      onRollback: () => {
        heads.forgetAll();
        leases.forgetAll();
        this.#listings.onRollback();
      },
      onFlush: () => this.#housekeeper.afterFlush(),
    });
  }

  /** An execution with all its tasks in their table. */
  #withTasks(key: ExecutionKey): HeadRow | undefined {
    const row = this.#heads.find(key);
    if (row !== undefined) this.#leases.moveOut(row, key);
    return row;
  }

  create(request: contract.CreateRequest): Promise<contract.CreateAnswer> {
    return this.#group.submit(() => this.#executions.create(request));
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
    const { leases, now } = request;
    return this.#group.submit(() =>
      leases.map(({ key, ...lease }): contract.ExtendAnswer => {
        const row = this.#withTasks(key);
        if (row === undefined) return { outcome: "stale" };
        return this.#tasks.extend(row.number, { ...lease, now });
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
    return this.#group.submit(() => {
      this.#withTasks(request.key);
      return this.#removal.remove(request);
    });
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

  /** Of what the file can grow to, on its disk and within its bound on pages. */
  async pressure(): Promise<contract.Pressure> {
    const read = (name: string) => Number(this.#database.query(`PRAGMA ${name}`).values()[0]?.[0]);
    const { bavail, bsize } = await statfs(this.#folder);
    const freeBytes = Math.max(0, bavail * bsize - limits.diskReservedBytes);
    return this.#group.submit(() => {
      const pages = read("page_count");
      const pagesMax = Math.min(read("max_page_count"), pages + freeBytes / read("page_size"));
      const used = (pages - read("freelist_count")) / pagesMax;
      return { used, tombstones: this.#removal.tombstones };
    });
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
    return this.#group.submit(() => this.#documents.beat(request));
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
    this.#log.close();
    // Statements are finalized too: only then is the log copied into the file and removed.
    this.#database.close(true);
    this.#lock.close(true);
  }
}
