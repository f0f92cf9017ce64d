/** What benchmarks of stores write: the parts of an execution as a worker's steps leave them. */
import type { StoreEffects } from "../../src/store/store.ts";

export const queue = "default/charge";
export const workerId = "worker-1";
export const parameters = JSON.stringify({
  order: "A-1001",
  lines: [1, 2, 3],
  note: "x".repeat(80),
});
export const state = JSON.stringify({ stateVersion: 1, records: "r".repeat(500) });

/** An entry of a history. */
export function entryAt(at: number): string {
  return JSON.stringify({ at, type: "task.completed", action: "charge", attempt: 1 });
}

export function effects(changed: Partial<StoreEffects>): StoreEffects {
  const none = { tasks: [], dropTasks: [], timers: [], dropTimers: [], messages: [], history: [] };
  return { ...none, ...changed };
}

/** `token`: of the lease under which it is handed over; absent: it goes into the queue. */
export function newTask(id: string, now: number, token?: string) {
  const lease = { workerId, leaseUntil: now + 30_000, deadline: now + 300_000 };
  return {
    id,
    queue,
    priority: 0,
    timeoutMs: 300_000,
    heartbeatMs: 30_000,
    queueTimeoutMs: 0,
    header: '{"workflow":"orders"}',
    parameters,
    ...(token !== undefined && { lease: { ...lease, token } }),
  };
}
