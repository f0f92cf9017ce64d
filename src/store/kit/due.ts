/** What a claim of due items returns. */
import type { ExecutionKey } from "../../model/ids.ts";
import type { DueItem } from "../store.ts";
import type { TaskLife } from "./task-life.ts";

/** Of a task whose lease, or whose wait in the queue, ends. */
export function dueTask(key: ExecutionKey, taskId: string, row: TaskLife): DueItem {
  const until = row.until as number;
  if (row.state === "queued" || row.lease === undefined) {
    return { kind: "queue", key, taskId, queueUntil: until };
  }
  const { token, workerId, deadline } = row.lease;
  return { kind: "lease", key, taskId, token, workerId, leaseUntil: until, deadline };
}

/** Absent where nothing is to come. */
export function withNextDue<Answer>(answer: Answer, nextDue: number | null | undefined) {
  return nextDue === null || nextDue === undefined ? answer : { ...answer, nextDue };
}

/** Undefined ones do not count; undefined: there is none. */
export function earliest(moments: readonly (number | undefined)[]): number | undefined {
  const known = moments.filter((moment) => moment !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}
