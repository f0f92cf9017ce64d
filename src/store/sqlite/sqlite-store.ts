/**
 * The embedded store: one SQLite file, one process. Every operation runs synchronously inside the
 * group commit; this class only routes it there.
 */
import type { Database } from "bun:sqlite";
import { limits } from "../../base/limits.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import { type DumpSource, dumpPage } from "../kit/dump.ts";
import { purgedPerClaim } from "../kit/removal.ts";
import type * as contract from "../store.ts";
import { Documents } from "./documents.ts";
import { DueItems } from "./due.ts";
import { Executions } from "./executions.ts";
import { fileFault } from "./file-fault.ts";
import type { GroupCommit } from "./group-commit.ts";
import { type HeadRow, Heads } from "./heads.ts";
import { Listings } from "./listings.ts";
import { LoneSlots } from "./lone-slots.ts";
import { Messages } from "./messages.ts";
import { Queues } from "./queues.ts";
import { Removal } from "./removal.ts";
import { settingOf, writeSetting } from "./schema.ts";
import { type SqliteOptions, StoreFile } from "./store-file.ts";
import { Tasks } from "./tasks.ts";
import { Timers } from "./timers.ts";
import { Transfer } from "./transfer.ts";

/** Throws a plain Error of one sentence when the file cannot be used. */
export function openSqliteStore(options: SqliteOptions): SqliteStore {
  try {
    return new SqliteStore(options);
  } catch (error) {
    throw fileFault(options.path, error);
  }
}

export class SqliteStore implements contract.Store {
  readonly traits: contract.Traits = {
    name: "sqlite",
    durability:
      "What is acknowledged is on disk (its log is synced first): it survives a crash of the " +
      "process and of the machine.",
    shared: false,
    claimOrder: "strict",
    looks: "cheap",
    countsExact: true,
    countsLeased: true,
    usedMax: limits.storeUsedMax,
  };
  readonly partitions: number;
  readonly timeReached: number;
  readonly #file: StoreFile;
  readonly #database: Database;
  readonly #group: GroupCommit;
  readonly #heads: Heads;
  readonly #loneSlots: LoneSlots;
  readonly #tasks: Tasks;
  readonly #queues: Queues;
  readonly #timers: Timers;
  readonly #dueItems: DueItems;
  readonly #messages: Messages;
  readonly #removal: Removal;
  readonly #executions: Executions;
  readonly #listings: Listings;
  readonly #documents: Documents;
  #transfer: Transfer | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: SqliteOptions) {
    this.#file = new StoreFile(options, () => {
      this.#heads.forgetAll();
      this.#loneSlots.forgetAll();
      this.#listings.onRollback();
    });
    const { database, group } = this.#file;
    this.#database = database;
    this.#group = group;
    this.partitions = Number(settingOf(database, "partitions"));
    this.timeReached = Number(settingOf(database, "time") ?? 0);
    const heads = new Heads(database, this.partitions);
    const tasks = new Tasks(database);
    const timers = new Timers(database);
    const messages = new Messages(database);
    const removal = new Removal(database, heads);
    const loneSlots = new LoneSlots({ database, heads, tasks, partitions: this.partitions });
    const parts = { database, heads, tasks, timers, messages, removal, loneSlots };
    this.#heads = heads;
    this.#loneSlots = loneSlots;
    this.#tasks = tasks;
    this.#queues = new Queues(database, loneSlots);
    this.#timers = timers;
    this.#dueItems = new DueItems(database, loneSlots);
    this.#messages = messages;
    this.#removal = removal;
    this.#executions = new Executions(parts);
    this.#listings = new Listings(database);
    this.#documents = new Documents(database);
  }

  /** Its statements are prepared by its first use: most servers never copy. */
  #transfers(): Transfer {
    const parts = { database: this.#database, heads: this.#heads, loneSlots: this.#loneSlots };
    this.#transfer ??= new Transfer(parts);
    return this.#transfer;
  }

  /** An execution with all its tasks in their table. */
  #withTasks(key: ExecutionKey): HeadRow | undefined {
    const row = this.#heads.find(key);
    if (row !== undefined) this.#loneSlots.moveOut(row, key);
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

  claimTask(request: contract.ClaimTaskRequest): Promise<contract.ClaimTaskAnswer> {
    return this.#group.submit(() => {
      const row = this.#withTasks(request.key);
      if (row?.tombstoneUntil !== null) return { outcome: "unknown" };
      return this.#queues.claimOne(row.number, request);
    });
  }

  readTask(request: contract.TaskPlace): Promise<contract.StoredTask | undefined> {
    return this.#group.submit(() => {
      const row = this.#withTasks(request.key);
      if (row?.tombstoneUntil !== null) return undefined;
      return this.#queues.read(row.number, request.taskId);
    });
  }

  extendLeases(request: contract.ExtendRequest): Promise<readonly contract.ExtendAnswer[]> {
    const { leases, now, lateMs = 0 } = request;
    return this.#group.submit(() =>
      leases.map(({ key, ...lease }): contract.ExtendAnswer => {
        const row = this.#withTasks(key);
        if (row === undefined) return { outcome: "stale" };
        return this.#tasks.extend(row.number, { ...lease, now, lateMs });
      }),
    );
  }

  releaseTasks(request: contract.ReleaseRequest): Promise<readonly contract.ReleaseAnswer[]> {
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

  listTimers(request: contract.ListTimersRequest): Promise<readonly contract.TimerPlace[]> {
    return this.#group.submit(() => this.#timers.list(request));
  }

  claimOutbox(request: contract.ClaimDueRequest): Promise<contract.ClaimOutboxAnswer> {
    return this.#group.submit(() => this.#messages.claim(request));
  }

  ackOutbox(request: contract.AckOutboxRequest): Promise<void> {
    return this.#group.submit(() => {
      for (const { key, id } of request.messages) {
        const row = this.#heads.find(key);
        if (row !== undefined) this.#messages.acknowledge(row.number, id);
      }
    });
  }

  remove(request: contract.RemoveRequest): Promise<contract.RemoveAnswer> {
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

  history(request: contract.HistoryRequest): Promise<readonly JsonText[]> {
    return this.#group.submit(() => {
      const row = this.#heads.live(request.key);
      if (row === undefined) return [];
      return this.#executions.history(row, request);
    });
  }

  queueStats(request: contract.QueueStatsRequest): Promise<readonly contract.QueueStats[]> {
    return this.#group.submit(() => this.#queues.stats(request));
  }

  queueHints(request: { readonly partition: number }): Promise<readonly string[]> {
    return this.#group.submit(() => this.#queues.hints(request.partition));
  }

  pressure(): Promise<contract.Pressure> {
    return this.#group.submit(() => {
      return { ...this.#file.pressure(), tombstones: this.#removal.tombstones };
    });
  }

  complaint(): string | undefined {
    return this.#file.complaint();
  }

  broken(): string | undefined {
    return this.#group.fault?.message;
  }

  logBytes(): number {
    return this.#file.logBytes;
  }

  getDocument(request: contract.DocumentPlace): Promise<contract.Document | undefined> {
    return this.#group.submit(() => this.#documents.get(request.kind, request.id));
  }

  putDocument(request: contract.PutRequest): Promise<contract.PutAnswer> {
    return this.#group.submit(() => this.#documents.put(request));
  }

  listDocuments(request: contract.ListDocumentsRequest): Promise<readonly contract.Document[]> {
    return this.#group.submit(() => this.#documents.list(request));
  }

  deleteDocument(request: contract.DocumentPlace): Promise<boolean> {
    return this.#group.submit(() => this.#documents.delete(request.kind, request.id));
  }

  documentKinds(): Promise<readonly string[]> {
    return this.#group.submit(() => this.#documents.kinds());
  }

  restoreDocument(request: contract.RestoreDocumentRequest): Promise<void> {
    return this.#group.submit(() => this.#documents.restore(request), "start");
  }

  dump(request: contract.DumpRequest): Promise<contract.DumpAnswer> {
    const source: DumpSource = {
      ids: (wanted) => this.#group.submit(() => this.#transfers().ids(wanted)),
      head: (key) => this.#group.submit(() => this.#transfers().head(key)),
      rows: (key, kind, skip) => this.#group.submit(() => this.#transfers().rows(key, kind, skip)),
    };
    return dumpPage(source, request);
  }

  restore(request: contract.RestoreRequest): Promise<void> {
    return this.#group.submit(() => this.#transfers().restore(request), "start");
  }

  beatServer(request: contract.BeatRequest): Promise<void> {
    return this.#group.submit(() => {
      writeSetting(this.#database, "time", request.now);
      this.#documents.beat(request);
    });
  }

  listServers(request: { readonly now: number }): Promise<readonly contract.LiveServer[]> {
    return this.#group.submit(() => this.#documents.servers(request.now));
  }

  leaveServer(request: { readonly id: string }): Promise<void> {
    return this.#group.submit(() => this.#documents.leave(request.id));
  }

  close(): Promise<void> {
    this.#closed ??= this.#file.close();
    return this.#closed;
  }
}
