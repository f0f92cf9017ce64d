/**
 * The reference store: the contract in its simplest form, in memory. Every change happens
 * synchronously at the call, without clock or chance, so simulators can rely on its order.
 */
import { limits } from "../../base/limits.ts";
import { type ExecutionKey, formatToken } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import { compareText, purgedPerClaim, RecentClaims } from "../rules.ts";
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
import * as tasks from "./tasks.ts";

export class MemoryStore implements contract.Store {
  readonly traits: contract.Traits = {
    name: "memory",
    durability: "Nothing is kept when this process ends.",
    shared: false,
    usedMax: limits.storeUsedMax,
  };
  readonly partitions: number;
  readonly #partitions: readonly MemoryPartition[];
  readonly #executions: readonly MemoryExecutions[];
  readonly #documents = new MemoryDocuments();
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

  async claimTasks(request: contract.ClaimTasksRequest): Promise<contract.ClaimTasksAnswer> {
    const partition = this.#partition(request.partition);
    const earlier = this.#taskClaims.recall(request.partition, request.tokenPrefix);
    const claimed: MemoryTask[] = [];
    const given = earlier
      .filter((task) => tasks.isLeasedUnder(task, request.tokenPrefix))
      .map((task) => tasks.leasedTask(task, request.heartbeatMs));
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

  async claimTask(
    request: Parameters<contract.Store["claimTask"]>[0],
  ): Promise<contract.LeasedTask | undefined> {
    const task = this.#task(request.key, request.taskId);
    if (task === undefined) return undefined;
    if (tasks.isLeasedUnder(task, request.tokenPrefix)) {
      return tasks.leasedTask(task, request.heartbeatMs);
    }
    if (task.state !== "queued" || task.execution.held) return undefined;
    if (task.lease?.token === formatToken(request.tokenPrefix, task.id)) return undefined;
    return tasks.claimTask(this.#partition(request.key.partition), task, request);
  }

  async extendLeases(
    request: Parameters<contract.Store["extendLeases"]>[0],
  ): Promise<readonly contract.ExtendAnswer[]> {
    const partition = this.#partition(request.partition);
    const { leases, now, lateMs = 0 } = request;
    return leases.map(({ key, taskId, token, until }) =>
      tasks.extendLease(partition, this.#task(key, taskId), { token, until, now, lateMs }),
    );
  }

  async releaseTasks(
    request: Parameters<contract.Store["releaseTasks"]>[0],
  ): Promise<readonly ("released" | "stale")[]> {
    const partition = this.#partition(request.partition);
    return request.tasks.map(({ key, taskId, token }) =>
      tasks.releaseTask(partition, this.#task(key, taskId), { token, now: request.now }),
    );
  }

  async claimDue(request: contract.ClaimDueRequest): Promise<contract.ClaimDueAnswer> {
    const isMore = this.#in(request.partition).purge(request.now, purgedPerClaim);
    const answer = claimDue(this.#partition(request.partition), this.#dueClaims, request);
    return isMore ? { ...answer, nextDue: request.now } : answer;
  }

  async listTimers(
    request: Parameters<contract.Store["listTimers"]>[0],
  ): Promise<readonly contract.TimerPlace[]> {
    return listTimers(this.#partition(request.partition), request);
  }

  async claimOutbox(
    request: contract.ClaimDueRequest,
  ): Promise<{ readonly messages: readonly contract.OutboxMessage[]; readonly nextDue?: number }> {
    return claimOutbox(this.#partition(request.partition), this.#messageClaims, request);
  }

  async ackOutbox(request: Parameters<contract.Store["ackOutbox"]>[0]): Promise<void> {
    const partition = this.#partition(request.partition);
    for (const { key, id } of request.messages) {
      const message = partition.executions.get(key.id)?.messages.get(id);
      if (message !== undefined) partition.deleteMessage(message);
    }
  }

  async remove(
    request: Parameters<contract.Store["remove"]>[0],
  ): Promise<"removed" | "more" | "conflict" | "not_found"> {
    return this.#in(request.key.partition).remove(request);
  }

  async holdings(key: ExecutionKey): Promise<contract.Holdings> {
    const execution = this.#in(key.partition).live(key.id);
    if (execution === undefined) return { tasks: [], timers: [], messages: [] };
    const open = [...execution.tasks.values()].filter((task) => task.state !== "dropped");
    return {
      tasks: open.map(tasks.taskView),
      timers: [...execution.timers.values()].map(({ id, at }) => ({ id, at })),
      messages: [...execution.messages.keys()],
    };
  }

  async list(request: contract.ListRequest): Promise<contract.ListAnswer> {
    return this.#partition(request.partition).listings.list(request);
  }

  async history(request: {
    key: ExecutionKey;
    after: number;
    limit: number;
  }): Promise<readonly JsonText[]> {
    const { key, after, limit } = request;
    const execution = this.#in(key.partition).live(key.id);
    return execution?.history.slice(after, after + limit) ?? [];
  }

  async queueStats(request: {
    partition: number;
    queue?: string;
  }): Promise<readonly contract.QueueStats[]> {
    const stats = new Map<string, { queued: number; leased: number; oldestAt?: number }>();
    for (const execution of this.#partition(request.partition).executions.values()) {
      for (const task of execution.tasks.values()) {
        if (task.state === "dropped") continue;
        if (request.queue !== undefined && request.queue !== task.queue) continue;
        const of = stats.get(task.queue) ?? { queued: 0, leased: 0 };
        stats.set(task.queue, of);
        of[task.state]++;
        if (task.state === "leased") continue;
        of.oldestAt = Math.min(of.oldestAt ?? task.queuedAt, task.queuedAt);
      }
    }
    return [...stats]
      .map(([queue, counts]) => ({ queue, ...counts }))
      .sort((a, b) => compareText(a.queue, b.queue));
  }

  async queueHints(request: { partition: number }): Promise<readonly string[]> {
    return [...this.#partition(request.partition).queues.keys()].sort(compareText);
  }

  async pressure(): Promise<contract.Pressure> {
    const tombstones = this.#partitions.reduce((sum, { graves }) => sum + graves.size, 0);
    return { used: 0, tombstones };
  }

  async getDocument(request: { kind: string; id: string }): Promise<contract.Document | undefined> {
    return this.#documents.get(request.kind, request.id);
  }

  async putDocument(
    request: Parameters<contract.Store["putDocument"]>[0],
  ): Promise<contract.PutAnswer> {
    return this.#documents.put(request);
  }

  async listDocuments(
    request: Parameters<contract.Store["listDocuments"]>[0],
  ): Promise<readonly contract.Document[]> {
    return this.#documents.list(request);
  }

  async deleteDocument(request: { kind: string; id: string }): Promise<boolean> {
    return this.#documents.delete(request.kind, request.id);
  }

  async beatServer(request: Parameters<contract.Store["beatServer"]>[0]): Promise<void> {
    this.#documents.beat(request);
  }

  async listServers(request: {
    now: number;
  }): Promise<readonly { readonly id: string; readonly body: JsonText }[]> {
    return this.#documents.servers(request.now);
  }

  async leaveServer(request: { id: string }): Promise<void> {
    this.#documents.leave(request.id);
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

  #task(key: ExecutionKey, taskId: string): MemoryTask | undefined {
    return this.#partition(key.partition).executions.get(key.id)?.tasks.get(taskId);
  }
}
