/**
 * The store over a database with one conditional write on one execution: what it asks of the database
 * stands in driver.ts, why nothing is lost in docs/design/store.md ("Records").
 */
import type { Clock } from "../../base/clock.ts";
import { defined } from "../../base/defined.ts";
import type * as contract from "../store.ts";
import type { RecordsDriver } from "./driver.ts";
import { Due } from "./due.ts";
import { Executions } from "./executions.ts";
import { readFields } from "./fields.ts";
import { PlaceIds } from "./hints.ts";
import { readHistory } from "./history.ts";
import { isHeld } from "./holds.ts";
import { list } from "./listings.ts";
import { Outbox } from "./outbox.ts";
import { QueueIndex } from "./queue-index.ts";
import { QueueLooks } from "./queue-looks.ts";
import { Queues } from "./queues.ts";
import { Records } from "./records.ts";
import { Removals } from "./removals.ts";
import { Tasks } from "./tasks.ts";
import { Transfer } from "./transfer.ts";

interface RecordsOptions {
  /** At random, of this process: ids that it makes begin with it. */
  readonly nonce: string;
  /** Of this process; the driver says how far the clock that servers share is ahead of it. */
  readonly clock: Pick<Clock, "now">;
}

export function openRecordsStore(driver: RecordsDriver, options: RecordsOptions): contract.Store {
  return new RecordsStore(driver, options);
}

class RecordsStore implements contract.Store {
  readonly traits: contract.Traits;
  readonly partitions: number;
  /** Present where the driver has them. */
  readonly timeOffset?: () => number;
  readonly complaint?: () => string | undefined;
  readonly format?: () => number;
  readonly raiseFormat?: (format: number) => Promise<number>;
  readonly #driver: RecordsDriver;
  /** What is done without a moment from outside happens now, by the clock that servers share. */
  readonly #now: () => number;
  readonly #records: Records;
  readonly #executions: Executions;
  readonly #removals: Removals;
  readonly #tasks: Tasks;
  readonly #queues: Queues;
  readonly #looks: QueueLooks;
  readonly #due: Due;
  readonly #outbox: Outbox;
  readonly #transfer: Transfer;

  constructor(driver: RecordsDriver, { nonce, clock }: RecordsOptions) {
    const { name, durability, partitions } = driver;
    const costs = { claimOrder: "roughly", looks: "billed" } as const;
    const counts = { countsExact: false, countsLeased: false };
    this.traits = { name, durability, shared: true, usedMax: 1, ...costs, ...counts };
    this.partitions = partitions;
    const { servers } = driver;
    Object.assign(
      this,
      defined({
        timeOffset: driver.timeOffset?.bind(driver),
        complaint: driver.complaint?.bind(driver),
        format: servers.format?.bind(servers),
        raiseFormat: servers.raiseFormat?.bind(servers),
      }),
    );
    this.#driver = driver;
    this.#now = () => clock.now() + (driver.timeOffset?.() ?? 0);
    const ids = new PlaceIds(nonce);
    const index = new QueueIndex(driver, ids);
    this.#records = new Records(driver, ids, index);
    this.#removals = new Removals(this.#records);
    this.#executions = new Executions(this.#records, this.#removals);
    this.#tasks = new Tasks(this.#records);
    this.#queues = new Queues(this.#records, this.#tasks, index);
    this.#looks = new QueueLooks(driver, index);
    this.#due = new Due(this.#records, this.#removals);
    this.#outbox = new Outbox(this.#records);
    this.#transfer = new Transfer(this.#records, this.#removals);
  }

  create(request: contract.CreateRequest): Promise<contract.CreateAnswer> {
    return this.#executions.create(request);
  }

  async load({ key, fields, sure }: contract.LoadRequest): Promise<contract.LoadAnswer> {
    // What is under way is refused from then on.
    if (sure) await this.#records.fence(key, this.#now());
    return await this.#records.whole(async () => {
      const { execution } = await this.#records.read(key);
      if (execution === undefined) return { outcome: "not_found" };
      if (execution.grave !== undefined) return { outcome: "tombstone" };
      const { head, recentCommitIds, listing, hold } = execution;
      const { texts } = this.#records;
      const [state = ""] = await texts.read(key, [execution.state]);
      const data = await readFields(texts, key, execution.fields, fields);
      const terms = { head, recentCommitIds, status: listing.status, held: isHeld(hold) };
      return { outcome: "loaded", ...terms, state, data };
    });
  }

  commit(request: contract.CommitRequest): Promise<contract.CommitAnswer> {
    return this.#executions.commit(request);
  }

  remove(request: contract.RemoveRequest): Promise<contract.RemoveAnswer> {
    return this.#removals.remove(request);
  }

  holdings(key: contract.LeasedTask["key"]): Promise<contract.Holdings> {
    return this.#tasks.holdings(key);
  }

  async history({ key, after, limit }: contract.HistoryRequest): Promise<readonly string[]> {
    return await this.#records.whole(async () => {
      const { execution } = await this.#records.read(key);
      if (execution === undefined || execution.grave !== undefined) return [];
      return await readHistory(this.#records.texts, key, execution.history, { after, limit });
    });
  }

  list(request: contract.ListRequest): Promise<contract.ListAnswer> {
    return list(this.#records, request);
  }

  claimTasks(request: contract.ClaimTasksRequest): Promise<contract.ClaimTasksAnswer> {
    return this.#queues.claim(request);
  }

  claimTask(request: contract.ClaimTaskRequest): Promise<contract.ClaimTaskAnswer> {
    return this.#tasks.claim(request);
  }

  readTask(request: contract.TaskPlace): Promise<contract.StoredTask | undefined> {
    return this.#tasks.read(request);
  }

  extendLeases(request: contract.ExtendRequest): Promise<readonly contract.ExtendAnswer[]> {
    return this.#tasks.extend(request);
  }

  releaseTasks(request: contract.ReleaseRequest): Promise<readonly contract.ReleaseAnswer[]> {
    return this.#tasks.release(request);
  }

  queueStats(request: contract.QueueStatsRequest): Promise<readonly contract.QueueStats[]> {
    return this.#looks.stats(request);
  }

  queueHints({ partition }: { readonly partition: number }): Promise<readonly string[]> {
    return this.#looks.hints(partition, this.#now());
  }

  claimDue(request: contract.ClaimDueRequest): Promise<contract.ClaimDueAnswer> {
    return this.#due.claim(request);
  }

  claimOutbox(request: contract.ClaimDueRequest): Promise<contract.ClaimOutboxAnswer> {
    return this.#outbox.claim(request);
  }

  ackOutbox(request: contract.AckOutboxRequest): Promise<void> {
    return this.#outbox.acknowledge(request, this.#now());
  }

  getDocument(request: contract.DocumentPlace): Promise<contract.Document | undefined> {
    return this.#driver.documents.getDocument(request);
  }

  putDocument(request: contract.PutRequest): Promise<contract.PutAnswer> {
    return this.#driver.documents.putDocument(request);
  }

  listDocuments(request: contract.ListDocumentsRequest): Promise<readonly contract.Document[]> {
    return this.#driver.documents.listDocuments(request);
  }

  deleteDocument(request: contract.DocumentPlace): Promise<boolean> {
    return this.#driver.documents.deleteDocument(request);
  }

  documentKinds(): Promise<readonly string[]> {
    return this.#driver.documents.documentKinds();
  }

  restoreDocument(request: contract.RestoreDocumentRequest): Promise<void> {
    return this.#driver.documents.restoreDocument(request);
  }

  dump(request: contract.DumpRequest): Promise<contract.DumpAnswer> {
    return this.#transfer.dump(request);
  }

  restore(request: contract.RestoreRequest): Promise<void> {
    return this.#transfer.restore(request);
  }

  beatServer(request: contract.BeatRequest): Promise<void> {
    return this.#driver.servers.beatServer(request);
  }

  listServers(request: { readonly now: number }): Promise<readonly contract.LiveServer[]> {
    return this.#driver.servers.listServers(request);
  }

  leaveServer(request: { readonly id: string }): Promise<void> {
    return this.#driver.servers.leaveServer(request);
  }

  /** There is no bound of room; a read shows whether the database can be reached. */
  async pressure(): Promise<contract.Pressure> {
    await this.#driver.documents.getDocument({ kind: "pressure", id: "" });
    return { used: 0 };
  }

  async close(): Promise<void> {
    await this.#driver.close();
  }
}
