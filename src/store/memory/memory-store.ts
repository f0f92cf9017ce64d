/**
 * The reference store: the contract in its simplest form, in memory. Every change happens
 * synchronously at the call, there is no clock and no chance, so simulators can rely on its order.
 */
import { limits } from "../../base/limits.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import { RecentClaims } from "../kit/claims.ts";
import { compareText } from "../kit/order.ts";
import { purgedPerClaim } from "../kit/removal.ts";
import type * as contract from "../store.ts";
import { MemoryDocuments } from "./documents.ts";
import { claimDue, claimOutbox, listTimers } from "./due.ts";
import { MemoryExecutions } from "./executions.ts";
import {
  type MemoryMessage,
  MemoryPartition,
  type MemoryTask,
  type MemoryTimer,
} from "./records.ts";
import { MemoryServers } from "./servers.ts";
import * as tasks from "./tasks.ts";
import { dump, restore } from "./transfer.ts";

export class MemoryStore implements contract.Store {
  readonly traits: contract.Traits = {
    name: "memory",
    durability: "Nothing is kept when this process ends.",
    shared: false,
    claimOrder: "strict",
    looks: "cheap",
    countsExact: true,
    countsLeased: true,
    usedMax: limits.storeUsedMax,
  };
  readonly partitions: number;
  readonly #partitions: readonly MemoryPartition[];
  readonly #executions: readonly MemoryExecutions[];
  readonly #documents = new MemoryDocuments();
  readonly #servers = new MemoryServers();
  readonly #taskClaims = new RecentClaims<MemoryTask>();
  readonly #dueClaims = new RecentClaims<MemoryTask | MemoryTimer>();
  readonly #messageClaims = new RecentClaims<MemoryMessage>();
  #sequence = 0;

  constructor(options: { readonly partitions: number }) {
    this.partitions = options.partitions;
    const nextSequence = () => ++this.#sequence;
    this.#partitions = Array.from({ length: options.partitions }, () => new MemoryPartition());
    this.#executions = this.#partitions.map((one) => new MemoryExecutions(one, nextSequence));
  }

  async create(request: contract.CreateRequest): Promise<contract.CreateAnswer> {
    return this.#in(request.key.partition).create(request);
  }

  async load(request: contract.LoadRequest): Promise<contract.LoadAnswer> {
    return this.#in(request.key.partition).load(request);
  }

  async commit(request: contract.CommitRequest): Promise<contract.CommitAnswer> {
    return this.#in(request.key.partition).commit(request);
  }

  async remove(request: contract.RemoveRequest): Promise<contract.RemoveAnswer> {
    return this.#in(request.key.partition).remove(request);
  }

  async holdings(key: ExecutionKey): Promise<contract.Holdings> {
    const execution = this.#in(key.partition).live(key.id);
    if (execution === undefined) return { tasks: [], timers: [], messages: [] };
    const open = [...execution.tasks.values()].filter(({ row }) => row.state !== "dropped");
    return {
      tasks: open.map(tasks.taskView),
      timers: [...execution.timers.values()].map(({ id, at }) => ({ id, at })),
      messages: [...execution.messages.keys()],
    };
  }

  async history(request: contract.HistoryRequest): Promise<readonly JsonText[]> {
    const { key, after, limit } = request;
    const execution = this.#in(key.partition).live(key.id);
    return execution?.history.slice(after, after + limit) ?? [];
  }

  async list(request: contract.ListRequest): Promise<contract.ListAnswer> {
    return this.#partition(request.partition).listings.list(request);
  }

  async claimTasks(request: contract.ClaimTasksRequest): Promise<contract.ClaimTasksAnswer> {
    const partition = this.#partition(request.partition);
    const earlier = this.#taskClaims.recall(request.partition, request.tokenPrefix);
    const claimed: MemoryTask[] = [];
    const given = earlier
      .filter((task) => tasks.isLeasedUnder(task, request.tokenPrefix))
      .map((task) => tasks.leasedTask(task, request));
    for (const { name, limit } of earlier.length > 0 ? [] : request.queues) {
      for (let room = limit; room > 0 && given.length < request.limit; room--) {
        const task = partition.queues.get(name)?.first();
        if (task === undefined) break;
        given.push(tasks.claimTask(partition, task, request));
        claimed.push(task);
      }
    }
    this.#taskClaims.remember(request.partition, request.tokenPrefix, claimed);
    const asked = new Set(request.queues.map((queue) => queue.name));
    return { tasks: given, more: [...asked].filter((name) => partition.queues.has(name)) };
  }

  async claimTask(request: contract.ClaimTaskRequest): Promise<contract.ClaimTaskAnswer> {
    const task = this.#task(request);
    if (task === undefined || task.execution.tombstoneUntil !== undefined) {
      return { outcome: "unknown" };
    }
    return tasks.claimByTicket(this.#partition(request.key.partition), task, request);
  }

  async readTask(request: contract.TaskPlace): Promise<contract.StoredTask | undefined> {
    const task = this.#task(request);
    if (task === undefined || task.execution.tombstoneUntil !== undefined) return undefined;
    return tasks.storedTask(task);
  }

  async extendLeases(request: contract.ExtendRequest): Promise<readonly contract.ExtendAnswer[]> {
    const partition = this.#partition(request.partition);
    return request.leases.map((lease) =>
      tasks.extendLease(partition, this.#task(lease), lease, request),
    );
  }

  async releaseTasks(request: contract.ReleaseRequest): Promise<readonly contract.ReleaseAnswer[]> {
    const partition = this.#partition(request.partition);
    return request.tasks.map((lease) =>
      tasks.releaseTask(partition, this.#task(lease), { token: lease.token, now: request.now }),
    );
  }

  async queueStats(request: contract.QueueStatsRequest): Promise<readonly contract.QueueStats[]> {
    const stats = new Map<string, { queued: number; leased: number; oldestAt?: number }>();
    for (const execution of this.#partition(request.partition).executions.values()) {
      for (const { queue, queuedAt, row } of execution.tasks.values()) {
        if (row.state === "dropped") continue;
        if (request.queue !== undefined && request.queue !== queue) continue;
        const of = stats.get(queue) ?? { queued: 0, leased: 0 };
        stats.set(queue, of);
        of[row.state]++;
        if (row.state === "leased") continue;
        of.oldestAt = Math.min(of.oldestAt ?? queuedAt, queuedAt);
      }
    }
    return [...stats]
      .map(([queue, counts]) => ({ queue, ...counts }))
      .sort((a, b) => compareText(a.queue, b.queue));
  }

  async queueHints(request: { readonly partition: number }): Promise<readonly string[]> {
    return [...this.#partition(request.partition).queues.keys()].sort(compareText);
  }

  async claimDue(request: contract.ClaimDueRequest): Promise<contract.ClaimDueAnswer> {
    const isMore = this.#in(request.partition).purge(request.now, purgedPerClaim);
    const answer = claimDue(this.#partition(request.partition), this.#dueClaims, request);
    return isMore ? { ...answer, nextDue: request.now } : answer;
  }

  async listTimers(request: contract.ListTimersRequest): Promise<readonly contract.TimerPlace[]> {
    return listTimers(this.#partition(request.partition), request);
  }

  async claimOutbox(request: contract.ClaimDueRequest): Promise<contract.ClaimOutboxAnswer> {
    return claimOutbox(this.#partition(request.partition), this.#messageClaims, request);
  }

  async ackOutbox(request: contract.AckOutboxRequest): Promise<void> {
    const partition = this.#partition(request.partition);
    for (const { key, id } of request.messages) {
      const message = partition.executions.get(key.id)?.messages.get(id);
      if (message !== undefined) partition.deleteMessage(message);
    }
  }

  getDocument(request: contract.DocumentPlace): Promise<contract.Document | undefined> {
    return this.#documents.getDocument(request);
  }

  putDocument(request: contract.PutRequest): Promise<contract.PutAnswer> {
    return this.#documents.putDocument(request);
  }

  listDocuments(request: contract.ListDocumentsRequest): Promise<readonly contract.Document[]> {
    return this.#documents.listDocuments(request);
  }

  deleteDocument(request: contract.DocumentPlace): Promise<boolean> {
    return this.#documents.deleteDocument(request);
  }

  beatServer(request: contract.BeatRequest): Promise<void> {
    return this.#servers.beatServer(request);
  }

  listServers(request: { readonly now: number }): Promise<readonly contract.LiveServer[]> {
    return this.#servers.listServers(request);
  }

  leaveServer(request: { readonly id: string }): Promise<void> {
    return this.#servers.leaveServer(request);
  }

  documentKinds(): Promise<readonly string[]> {
    return this.#documents.documentKinds();
  }

  restoreDocument(request: contract.RestoreDocumentRequest): Promise<void> {
    return this.#documents.restoreDocument(request);
  }

  dump(request: contract.DumpRequest): Promise<contract.DumpAnswer> {
    return dump(this.#partition(request.partition), request);
  }

  async restore(request: contract.RestoreRequest): Promise<void> {
    restore(this.#partition(request.key.partition), request);
  }

  async pressure(): Promise<contract.Pressure> {
    const tombstones = this.#partitions.reduce((sum, { graves }) => sum + graves.size, 0);
    return { used: 0, tombstones };
  }

  async close(): Promise<void> {}

  #partition(number: number): MemoryPartition {
    const partition = this.#partitions[number];
    if (partition === undefined) throw new RangeError(`There is no partition ${number}.`);
    return partition;
  }

  #in(partition: number): MemoryExecutions {
    const executions = this.#executions[partition];
    if (executions === undefined) throw new RangeError(`There is no partition ${partition}.`);
    return executions;
  }

  #task(of: { readonly key: ExecutionKey; readonly taskId: string }): MemoryTask | undefined {
    return this.#partition(of.key.partition).executions.get(of.key.id)?.tasks.get(of.taskId);
  }
}
