/**
 * The life of a task in the memory store: queued, leased, dropped, and back. A queue timeout runs
 * only while the task is on offer: it stands still while the task is leased or its execution held.
 */
import { formatToken } from "../../model/ids.ts";
import { extendedUntil, leaseTerms, queueTimeLeft } from "../rules.ts";
import type {
  CommitRequest,
  ExtendAnswer,
  HandOff,
  LeasedTask,
  StoreEffects,
  TaskView,
} from "../store.ts";
import type { MemoryExecution, MemoryPartition, MemoryTask } from "./records.ts";

interface Worker {
  readonly tokenPrefix: string;
  readonly workerId: string;
  readonly heartbeatMs: number;
  readonly now: number;
}

function enqueue(task: MemoryTask, now: number): void {
  task.state = "queued";
  const running = task.queueLeft !== null && !task.execution.held;
  task.until = running ? now + (task.queueLeft as number) : null;
  task.due = task.until;
  task.claimId = undefined;
}

function standStill(task: MemoryTask, now: number): void {
  if (task.until !== null) task.queueLeft = queueTimeLeft(task.until, now);
}

function lease(task: MemoryTask, handOff: HandOff, now: number): void {
  const { token, workerId, deadline } = handOff;
  task.state = "leased";
  task.lease = { token, workerId, leasedAt: now, deadline };
  task.until = handOff.leaseUntil;
  task.due = handOff.leaseUntil;
  task.claimId = undefined;
}

export function addTask(
  partition: MemoryPartition,
  execution: MemoryExecution,
  added: StoreEffects["tasks"][number],
  moment: { readonly sequence: number; readonly now: number },
): void {
  const known = execution.tasks.get(added.id);
  if (known !== undefined) partition.deleteTask(known);
  const { id, queue, priority, timeoutMs, heartbeatMs, header, parameters } = added;
  const task: MemoryTask = {
    kind: "task",
    sequence: moment.sequence,
    execution,
    id,
    queue,
    priority,
    timeoutMs,
    heartbeatMs,
    header,
    parameters,
    queuedAt: moment.now,
    state: "queued",
    until: null,
    due: null,
    claimId: undefined,
    lease: undefined,
    queueLeft: added.queueTimeoutMs > 0 ? added.queueTimeoutMs : null,
  };
  enqueue(task, moment.now);
  if (added.lease !== undefined) lease(task, added.lease, moment.now);
  execution.tasks.set(id, task);
  partition.index(task);
}

/** A leased task stays behind as a tombstone, so that its worker's heartbeat hears `cancelled`. */
export function dropTask(partition: MemoryPartition, task: MemoryTask): void {
  if (task.state === "dropped") return;
  if (task.state === "queued") {
    partition.deleteTask(task);
    return;
  }
  partition.unindex(task);
  task.state = "dropped";
  task.due = null;
  partition.index(task);
}

export function setHeld(
  partition: MemoryPartition,
  execution: MemoryExecution,
  change: { readonly held: boolean; readonly now: number },
): void {
  if (execution.held === change.held) return;
  const queued = [...execution.tasks.values()].filter((task) => task.state === "queued");
  for (const task of queued) partition.unindex(task);
  execution.held = change.held;
  for (const task of queued) {
    standStill(task, change.now);
    enqueue(task, change.now);
    partition.index(task);
  }
}

/** Tasks of the commit that are not as it expects them. */
export function staleTasks(execution: MemoryExecution, request: CommitRequest): string[] {
  const stale: string[] = [];
  for (const { taskId, token } of request.settle) {
    const task = execution.tasks.get(taskId);
    if (task?.state !== "leased" || task.lease?.token !== token) stale.push(taskId);
  }
  for (const { taskId, token, until } of request.expire) {
    const task = execution.tasks.get(taskId);
    const matches =
      task !== undefined &&
      task.until === until &&
      (token === null
        ? task.state === "queued"
        : task.state === "leased" && task.lease?.token === token);
    if (!matches) stale.push(taskId);
  }
  return stale;
}

export function leasedTask(task: MemoryTask, workerHeartbeatMs: number): LeasedTask {
  const { token, leasedAt, deadline } = task.lease as NonNullable<MemoryTask["lease"]>;
  const { id, queue, header, parameters } = task;
  const heartbeatMs = task.heartbeatMs > 0 ? task.heartbeatMs : workerHeartbeatMs;
  const leaseUntil = task.until as number;
  return {
    key: task.execution.key,
    id,
    queue,
    token,
    leasedAt,
    leaseUntil,
    deadline,
    heartbeatMs,
    header,
    parameters,
  };
}

export function isLeasedUnder(task: MemoryTask, tokenPrefix: string): boolean {
  if (task.state !== "leased" || task.execution.tasks.get(task.id) !== task) return false;
  return task.lease?.token === formatToken(tokenPrefix, task.id);
}

export function claimTask(
  partition: MemoryPartition,
  task: MemoryTask,
  worker: Worker,
): LeasedTask {
  partition.unindex(task);
  standStill(task, worker.now);
  const { leaseUntil, deadline } = leaseTerms(task, worker);
  const token = formatToken(worker.tokenPrefix, task.id);
  lease(task, { token, workerId: worker.workerId, leaseUntil, deadline }, worker.now);
  partition.index(task);
  return leasedTask(task, worker.heartbeatMs);
}

export function extendLease(
  partition: MemoryPartition,
  task: MemoryTask | undefined,
  request: {
    readonly token: string;
    readonly until: number;
    readonly now: number;
    readonly lateMs: number;
  },
): ExtendAnswer {
  if (task?.lease?.token !== request.token || task.state === "queued") return { outcome: "stale" };
  const current = task.until as number;
  if (request.now > current + request.lateMs) return { outcome: "stale" };
  if (task.state === "dropped") return { outcome: "cancelled" };
  const lease = { leaseUntil: current, deadline: task.lease.deadline };
  const leaseUntil = extendedUntil(lease, request.until);
  if (leaseUntil !== current) {
    partition.unindex(task);
    task.until = leaseUntil;
    task.due = leaseUntil;
    task.claimId = undefined;
    partition.index(task);
  }
  return { outcome: "extended", leaseUntil };
}

export function releaseTask(
  partition: MemoryPartition,
  task: MemoryTask | undefined,
  request: { readonly token: string; readonly now: number },
): "released" | "stale" {
  if (task?.lease?.token !== request.token || task.state === "dropped") return "stale";
  if (task.state === "queued") return "released";
  partition.unindex(task);
  enqueue(task, request.now);
  partition.index(task);
  return "released";
}

export function taskView(task: MemoryTask): TaskView {
  const { id, queue } = task;
  if (task.state === "queued" || task.lease === undefined) return { id, queue, state: "queued" };
  const { workerId, token } = task.lease;
  return { id, queue, state: "leased", workerId, token, leaseUntil: task.until as number };
}
