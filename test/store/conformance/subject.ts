/** What conformance tests share: a store under test, executions driven by it, and plain requests. */
import { expect } from "bun:test";
import { limits } from "../../../src/base/limits.ts";
import { type ExecutionKey, executionKey } from "../../../src/model/ids.ts";
import type { Facet } from "../../../src/store/facets.ts";
import type {
  ClaimTasksRequest,
  CommitAnswer,
  CommitRequest,
  CreateRequest,
  Head,
  QueueStats,
  Store,
  StoreEffects,
} from "../../../src/store/store.ts";

export const partitions = 4;
/** The moment at which most tests begin. */
export const t0 = 1_760_000_000_000;

/** Registers one test of a suite; a skipped one is reported with its reason. */
export interface Test {
  (name: string, body: (store: Store) => Promise<void>): void;
  /** For a test that needs further facets than its suite. */
  also(...facets: readonly Facet[]): Test;
}

type NewTask = StoreEffects["tasks"][number];

export function newTask(id: string, changes: Partial<NewTask> = {}): NewTask {
  return {
    id,
    queue: "q/a",
    priority: 0,
    timeoutMs: 300_000,
    heartbeatMs: 0,
    queueTimeoutMs: 0,
    header: `{"task":"${id}"}`,
    parameters: "{}",
    ...changes,
  };
}

/** A task that is leased by the commit that adds it. */
export function handedOff(id: string, token: string, changes: Partial<NewTask> = {}): NewTask {
  const lease = { token, workerId: "w1", leaseUntil: t0 + 1_000, deadline: t0 + 5_000 };
  return newTask(id, { lease, ...changes });
}

export function effects(changes: Partial<StoreEffects> = {}): StoreEffects {
  const none = { tasks: [], dropTasks: [], timers: [], dropTimers: [], messages: [], history: [] };
  return { ...none, ...changes };
}

export function createRequest(id: string, changes: Partial<CreateRequest> = {}): CreateRequest {
  return {
    key: executionKey(id, partitions),
    commitId: `${id}-0`,
    state: "{}",
    data: new Map(),
    listing: { id, workflow: "orders", version: 1, status: "RUNNING", startedAt: t0 },
    effects: effects(),
    now: t0,
    ...changes,
  };
}

type Change = Partial<Omit<CommitRequest, "effects">> & Partial<StoreEffects>;

/** An execution and the head that its next commit expects. */
export class Driven {
  readonly store: Store;
  readonly key: ExecutionKey;
  head: Head;
  #commits = 0;

  constructor(store: Store, key: ExecutionKey, head: Head) {
    this.store = store;
    this.key = key;
    this.head = head;
  }

  request(change: Change = {}): CommitRequest {
    const { tasks, dropTasks, timers, dropTimers, messages, history, ...rest } = change;
    const given = { tasks, dropTasks, timers, dropTimers, messages, history };
    const present = Object.entries(given).filter(([, value]) => value !== undefined);
    return {
      key: this.key,
      expected: this.head,
      commitId: `${this.key.id}-${++this.#commits}`,
      state: "{}",
      status: "RUNNING",
      data: new Map(),
      settle: [],
      expire: [],
      consumeTimers: [],
      effects: effects(Object.fromEntries(present)),
      now: t0,
      ...rest,
    };
  }

  /** Any outcome; the head follows when it was committed. */
  async try(change: Change = {}): Promise<CommitAnswer> {
    const answer = await this.store.commit(this.request(change));
    if (answer.outcome === "committed") this.head = answer.head;
    return answer;
  }

  async commit(change: Change = {}): Promise<void> {
    expect((await this.try(change)).outcome).toBe("committed");
  }

  /** More than one commit may hold, in as many as it takes. */
  async commitAll<Item>(
    items: readonly Item[],
    changeOf: (some: readonly Item[]) => Change,
  ): Promise<void> {
    const most = limits.commitRowsMax - 5;
    for (let at = 0; at < items.length; at += most) {
      await this.commit(changeOf(items.slice(at, at + most)));
    }
  }
}

export async function start(
  store: Store,
  id: string,
  changes: Partial<Omit<CreateRequest, "effects">> & { effects?: Partial<StoreEffects> } = {},
): Promise<Driven> {
  const request = createRequest(id, { ...changes, effects: effects(changes.effects) });
  const answer = await store.create(request);
  if (answer.outcome !== "created") throw new Error(`create ${id}: ${answer.outcome}`);
  return new Driven(store, request.key, answer.head);
}

export function claimRequest(
  partition: number,
  changes: Partial<ClaimTasksRequest> = {},
): ClaimTasksRequest {
  return {
    partition,
    queues: [{ name: "q/a", limit: 100 }],
    limit: 100,
    tokenPrefix: "1.n",
    workerId: "w1",
    heartbeatMs: 1_000,
    now: t0,
    ...changes,
  };
}

export async function claim(
  store: Store,
  partition: number,
  changes: Partial<ClaimTasksRequest> = {},
) {
  return await store.claimTasks(claimRequest(partition, changes));
}

/** Ids of the tasks that are claimable in the queue; claims them. */
export async function claimIds(
  store: Store,
  partition: number,
  changes: Partial<ClaimTasksRequest> = {},
): Promise<string[]> {
  return (await claim(store, partition, changes)).tasks.map((task) => task.id);
}

/** What the store lists of these counts: see `Traits.countsLeased`. */
export function listedBy(store: Store, all: QueueStats[]): QueueStats[] {
  if (store.traits?.countsLeased !== false) return all;
  return all.flatMap(({ leased: _, ...stats }) => (stats.queued > 0 ? stats : []));
}

export async function claimDue(store: Store, partition: number, now: number, claimId = "c1") {
  return await store.claimDue({ partition, claimId, limit: 100, hideMs: 100, now });
}

/** How `extendLeases` answers for one lease. */
export async function extend(
  store: Store,
  lease: { key: ExecutionKey; taskId: string; token: string; until: number; now: number },
  more: { readonly lateMs?: number } = {},
) {
  const { now, ...one } = lease;
  const { partition } = lease.key;
  const [answer] = await store.extendLeases({ partition, leases: [one], now, ...more });
  return answer;
}

export async function release(
  store: Store,
  lease: { key: ExecutionKey; taskId: string; token: string; now: number },
) {
  const { now, ...one } = lease;
  const { partition } = lease.key;
  const [answer] = await store.releaseTasks({ partition, tasks: [one], now });
  return answer;
}

/** Ids that live in one partition, as many as asked. */
export function idsIn(partition: number, count: number): string[] {
  const ids: string[] = [];
  for (let i = 0; ids.length < count; i++) {
    if (executionKey(`e${i}`, partitions).partition === partition) ids.push(`e${i}`);
  }
  return ids;
}
