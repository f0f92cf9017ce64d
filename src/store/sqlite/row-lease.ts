/** How the lease that is kept in a row of `states` is written: a JSON array, as every step writes it. */
import type { HandOff, StoreEffects } from "../store.ts";

type NewTask = StoreEffects["tasks"][number];
export type LeasedNewTask = NewTask & { readonly lease: HandOff };

export interface RowLease {
  readonly task: LeasedNewTask;
  readonly leasedAt: number;
  readonly place: number;
  /** As it is written. */
  readonly text: string;
}

export function writeLease(task: LeasedNewTask, leasedAt: number, place: number): string {
  const { id, queue, priority, timeoutMs, heartbeatMs, queueTimeoutMs, header, parameters } = task;
  const { token, workerId, leaseUntil, deadline } = task.lease;
  return JSON.stringify([
    ...[leasedAt, place, id, queue, priority, timeoutMs, heartbeatMs, queueTimeoutMs],
    ...[token, workerId, leaseUntil, deadline, header, parameters],
  ]);
}

export function readLease(text: string): RowLease {
  const [leasedAt, place, id, queue, priority, timeoutMs, heartbeatMs, queueTimeoutMs, ...rest] =
    JSON.parse(text);
  const [token, workerId, leaseUntil, deadline, header, parameters] = rest;
  const lease = { token, workerId, leaseUntil, deadline };
  const times = { timeoutMs, heartbeatMs, queueTimeoutMs };
  const task = { id, queue, priority, ...times, header, parameters, lease };
  return { task, leasedAt, place, text };
}

export function isLeased(task: NewTask): task is LeasedNewTask {
  return task.lease !== undefined;
}
