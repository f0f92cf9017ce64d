/** Tasks of the memory store: rows that change by the rules of ../kit/task-life.ts. */
import { formatToken } from "../../model/ids.ts";
import * as life from "../kit/task-life.ts";
import type {
  Claimant,
  ClaimTaskAnswer,
  ClaimTaskRequest,
  CommitRequest,
  ExtendAnswer,
  ExtendRequest,
  LeasedTask,
  ReleaseAnswer,
  StoredTask,
  StoreEffects,
  TaskView,
} from "../store.ts";
import type { MemoryExecution, MemoryPartition, MemoryTask } from "./records.ts";

/** All changes of a row go through here: it is found by its new state, and under no claim. */
function become(partition: MemoryPartition, task: MemoryTask, row: life.TaskLife): void {
  partition.unindex(task);
  task.row = row;
  task.due = life.dueOf(row);
  task.claimId = undefined;
  partition.index(task);
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
  const row = life.addTask(added, { held: execution.held, now: moment.now });
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
    row,
    due: life.dueOf(row),
    claimId: undefined,
  };
  execution.tasks.set(id, task);
  partition.index(task);
}

export function dropTask(partition: MemoryPartition, task: MemoryTask): void {
  const row = life.dropTask(task.row);
  if (row === undefined) partition.deleteTask(task);
  else if (row !== task.row) become(partition, task, row);
}

export function setHeld(
  partition: MemoryPartition,
  execution: MemoryExecution,
  change: { readonly held: boolean; readonly now: number },
): void {
  if (execution.held === change.held) return;
  execution.held = change.held;
  for (const task of execution.tasks.values()) {
    const row = life.holdTask(task.row, change);
    if (row !== task.row) become(partition, task, row);
  }
}

/** Tasks of the commit that are not as it expects them. */
export function staleTasks(execution: MemoryExecution, request: CommitRequest): string[] {
  const rowOf = (id: string) => execution.tasks.get(id)?.row;
  const { held } = execution;
  const settle = request.settle.filter(
    ({ taskId, token }) => !life.maySettle(rowOf(taskId), { token, held }),
  );
  const expire = request.expire.filter((one) => !life.mayExpire(rowOf(one.taskId), one));
  return [...settle, ...expire].map(({ taskId }) => taskId);
}

export function leasedTask(task: MemoryTask, worker: Claimant): LeasedTask {
  const { id, queue, header, parameters } = task;
  const { token, leasedAt, deadline } = task.row.lease as life.Lease;
  return {
    key: task.execution.key,
    id,
    queue,
    token,
    leasedAt,
    leaseUntil: task.row.until as number,
    deadline,
    heartbeatMs: life.heartbeatOf(task, worker),
    header,
    parameters,
  };
}

/** Whether a task that was claimed under this prefix still is. */
export function isLeasedUnder(task: MemoryTask, tokenPrefix: string): boolean {
  if (task.execution.tasks.get(task.id) !== task) return false;
  return life.isLeasedUnder(task.row, formatToken(tokenPrefix, task.id));
}

/** Of a task on offer. */
export function claimTask(
  partition: MemoryPartition,
  task: MemoryTask,
  worker: Claimant,
): LeasedTask {
  become(partition, task, life.claimTask(task.row, task, worker));
  return leasedTask(task, worker);
}

export function claimByTicket(
  partition: MemoryPartition,
  task: MemoryTask,
  request: ClaimTaskRequest,
): ClaimTaskAnswer {
  const { held } = task.execution;
  const { answer, row } = life.claimByTicket(task.row, task, { ...request, held });
  if (row !== undefined) become(partition, task, row);
  return answer.outcome === "claimed" ? { ...answer, task: leasedTask(task, request) } : answer;
}

export function storedTask(task: MemoryTask): StoredTask | undefined {
  const { queue, timeoutMs, header, parameters } = task;
  return life.storedTask(task.row, { queue, timeoutMs, header, parameters });
}

export function extendLease(
  partition: MemoryPartition,
  task: MemoryTask | undefined,
  { token, until }: ExtendRequest["leases"][number],
  { now, lateMs = 0 }: ExtendRequest,
): ExtendAnswer {
  const { answer, row } = life.extendLease(task?.row, { token, until, now, lateMs });
  if (task !== undefined && row !== undefined) become(partition, task, row);
  return answer;
}

export function releaseTask(
  partition: MemoryPartition,
  task: MemoryTask | undefined,
  request: { readonly token: string; readonly now: number },
): ReleaseAnswer {
  const held = task?.execution.held ?? false;
  const { answer, row } = life.releaseTask(task?.row, { ...request, held });
  if (task !== undefined && row !== undefined) become(partition, task, row);
  return answer;
}

export function taskView({ id, queue, row }: MemoryTask): TaskView {
  if (row.state === "queued" || row.lease === undefined) return { id, queue, state: "queued" };
  const { workerId, token } = row.lease;
  return { id, queue, state: "leased", workerId, token, leaseUntil: row.until as number };
}
