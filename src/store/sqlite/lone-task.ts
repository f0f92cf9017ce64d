/**
 * How the task in a lone slot (lone-slots.ts) is written, as every step writes it:
 * `<length of the array>:<JSON array><parameters>`. The parameters may be large and are text already.
 * Versions before this one put them into the array as its last item, and wrote nothing else.
 */
import type { HandOff, StoreEffects } from "../store.ts";

type NewTask = StoreEffects["tasks"][number];
export type LeasedNewTask = NewTask & { readonly lease: HandOff };

export interface LoneTask {
  readonly task: LeasedNewTask;
  readonly leasedAt: number;
  readonly place: number;
  /** As it is written. */
  readonly text: string;
}

export function writeLoneTask(task: LeasedNewTask, leasedAt: number, place: number): string {
  const { id, queue, priority, timeoutMs, heartbeatMs, queueTimeoutMs, header, parameters } = task;
  const { token, workerId, leaseUntil, deadline } = task.lease;
  const array = JSON.stringify([
    ...[leasedAt, place, id, queue, priority, timeoutMs, heartbeatMs, queueTimeoutMs],
    ...[token, workerId, leaseUntil, deadline, header],
  ]);
  return `${array.length}:${array}${parameters}`;
}

export function readLoneTask(text: string): LoneTask {
  const start = text.startsWith("[") ? 0 : text.indexOf(":") + 1;
  const end = start === 0 ? text.length : start + Number(text.slice(0, start - 1));
  const [leasedAt, place, id, queue, priority, timeoutMs, heartbeatMs, queueTimeoutMs, ...rest] =
    JSON.parse(text.slice(start, end));
  const [token, workerId, leaseUntil, deadline, header, parameters = text.slice(end)] = rest;
  const lease = { token, workerId, leaseUntil, deadline };
  const times = { timeoutMs, heartbeatMs, queueTimeoutMs };
  const task = { id, queue, priority, ...times, header, parameters, lease };
  return { task, leasedAt, place, text };
}

export function isLeased(task: NewTask): task is LeasedNewTask {
  return task.lease !== undefined;
}
