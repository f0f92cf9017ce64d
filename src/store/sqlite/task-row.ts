/** A row of the table of tasks, as the rules of ../kit/task-life.ts read it. */
import type { LeaseTerms, TaskLife } from "../kit/task-life.ts";
import { taskState } from "./schema.ts";

export interface TaskRow {
  readonly number: number;
  readonly state: number;
  readonly until: number | null;
  readonly queueLeft: number | null;
  readonly token: string | null;
  readonly workerId: string | null;
  readonly leasedAt: number | null;
  readonly deadline: number | null;
}

/** What a request by token reads. */
export interface HeldRow {
  readonly number: number;
  readonly state: number;
  readonly until: number;
  readonly queueLeft: number | null;
  readonly deadline: number;
}

/** Of a task that was leased once. */
export interface LeaseRow extends TaskRow {
  readonly token: string;
  readonly workerId: string;
  readonly leasedAt: number;
  readonly deadline: number;
}

const states: Readonly<Record<number, TaskLife["state"]>> = {
  [taskState.queued]: "queued",
  [taskState.leased]: "leased",
  [taskState.dropped]: "dropped",
};

export function taskLife(row: TaskRow): TaskLife {
  const { until, queueLeft, token, workerId, leasedAt, deadline } = row as LeaseRow;
  const lease = row.token === null ? undefined : { token, workerId, leasedAt, deadline };
  return { state: states[row.state]!, until, queueLeft, lease };
}

/** Of a row that was found by the token of its latest lease. */
export function heldTask(row: HeldRow | null, token: string): TaskLife<LeaseTerms> | undefined {
  if (row === null) return undefined;
  const { until, queueLeft, deadline } = row;
  return { state: states[row.state]!, until, queueLeft, lease: { token, deadline } };
}
