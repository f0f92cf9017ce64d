/**
 * The life of a task: queued, leased, dropped, and back. Every rule about it stands here, as a pure
 * function from a row and a request to what the row becomes. A store finds rows and writes them.
 * Stores that fold a rule into a single statement (SQLite) or into Lua (Redis) are held to these
 * functions by the conformance and differential tests.
 *
 * A queue timeout runs only while the task is on offer: it stands still while the task is leased or
 * its execution is held. A row that changes loses the claim of `claimDue` that it was under.
 */
import { defined } from "../../base/defined.ts";
import type { NewTask } from "../../model/decision.ts";
import { formatToken } from "../../model/ids.ts";
import type {
  ClaimTaskAnswer,
  CommitRequest,
  ExtendAnswer,
  HandOff,
  ReleaseAnswer,
  StoredTask,
} from "../store.ts";

/** What the rules read and change of a task; all of it is stored. */
export interface TaskLife<Of extends LeaseTerms = Lease> {
  /** `dropped`: was dropped while leased; a tombstone for the heartbeat of its worker. */
  readonly state: "queued" | "leased" | "dropped";
  /** End of the lease; or of the wait in the queue, null where that has none or stands still. */
  readonly until: number | null;
  /** What is left of the queue timeout while it stands still; null: it has none. */
  readonly queueLeft: number | null;
  /** Absent: it was never leased. Of a queued task: the lease that was released last. */
  readonly lease: Of | undefined;
}

/** What the rules read of a lease. */
export interface LeaseTerms {
  readonly token: string;
  /** End of the attempt; no extension passes it. */
  readonly deadline: number;
}

export interface Lease extends LeaseTerms {
  readonly workerId: string;
  readonly leasedAt: number;
}

/** Of whoever claims. */
interface Claimant {
  readonly tokenPrefix: string;
  readonly workerId: string;
  /** Longest silence for tasks that name none; 0: the worker does not heartbeat. */
  readonly heartbeatMs: number;
  readonly now: number;
}

/** Whether the execution is held, as of now. */
interface Moment {
  readonly held: boolean;
  readonly now: number;
}

type TaskTerms = Pick<NewTask, "timeoutMs" | "heartbeatMs">;

/** What a request does to a task. */
interface Change<Answer, Of extends LeaseTerms = Lease> {
  readonly answer: Answer;
  /** Absent: the row stays as it is. */
  readonly row?: TaskLife<Of>;
}

// Terms of a lease

/** The task's own heartbeat wins over the worker's. */
export function heartbeatOf(task: TaskTerms, worker: { readonly heartbeatMs: number }): number {
  return task.heartbeatMs > 0 ? task.heartbeatMs : worker.heartbeatMs;
}

/** A lease ends with the longest silence or the attempt; without a heartbeat it is the attempt. */
export function leaseTerms(
  task: TaskTerms,
  worker: { readonly heartbeatMs: number; readonly now: number },
): { readonly leaseUntil: number; readonly deadline: number } {
  const heartbeatMs = heartbeatOf(task, worker);
  const deadline = worker.now + task.timeoutMs;
  const leaseUntil = heartbeatMs > 0 ? Math.min(worker.now + heartbeatMs, deadline) : deadline;
  return { leaseUntil, deadline };
}

// Rows

/** When `claimDue` gives it, unless a claim hides it; null: never. */
export function dueOf({ state, until }: Pick<TaskLife, "state" | "until">): number | null {
  return state === "dropped" ? null : until;
}

/** On offer, or waiting until the execution is no longer held. */
function queued<Of extends LeaseTerms>(
  row: Pick<TaskLife<Of>, "queueLeft" | "lease">,
  { held, now }: Moment,
): TaskLife<Of> {
  const until = row.queueLeft === null || held ? null : now + row.queueLeft;
  return { state: "queued", until, queueLeft: row.queueLeft, lease: row.lease };
}

type Waiting = Pick<TaskLife, "until" | "queueLeft">;

/** The queue timeout of a queued task stops. */
function queueLeftAt({ until, queueLeft }: Waiting, now: number): number | null {
  return until === null ? queueLeft : Math.max(0, until - now);
}

/** A task that a commit adds, leased at once where it is handed off. */
export function addTask(
  task: Pick<NewTask, "queueTimeoutMs"> & { readonly lease?: HandOff },
  moment: Moment,
): TaskLife {
  const queueLeft = task.queueTimeoutMs > 0 ? task.queueTimeoutMs : null;
  if (task.lease === undefined) return queued<Lease>({ queueLeft, lease: undefined }, moment);
  const { token, workerId, leaseUntil, deadline } = task.lease;
  const lease = { token, workerId, leasedAt: moment.now, deadline };
  return { state: "leased", until: leaseUntil, queueLeft, lease };
}

/** Of a task that is queued and not held. */
export function claimTask(
  row: Waiting,
  task: TaskTerms & { readonly id: string },
  worker: Claimant,
): TaskLife {
  const { now, workerId } = worker;
  const { leaseUntil, deadline } = leaseTerms(task, worker);
  const token = formatToken(worker.tokenPrefix, task.id);
  const lease = { token, workerId, leasedAt: now, deadline };
  return { state: "leased", until: leaseUntil, queueLeft: queueLeftAt(row, now), lease };
}

/** A repeated claim finds what is still leased under its prefix. */
export function isLeasedUnder({ state, lease }: TaskLife, token: string): boolean {
  return state === "leased" && lease?.token === token;
}

/** What `claimTask` returns, without the task where it is claimed. */
type TicketAnswer =
  | Exclude<ClaimTaskAnswer, { readonly outcome: "claimed" }>
  | { readonly outcome: "claimed" };

/**
 * By ticket. A repeat is `claimed` while the lease holds; after a release it is `unknown`, so that no
 * token comes to life again.
 */
export function claimByTicket(
  row: TaskLife,
  task: TaskTerms & { readonly id: string },
  request: Claimant & { readonly held: boolean },
): Change<TicketAnswer> {
  if (row.state === "dropped") return { answer: { outcome: "unknown" } };
  const token = formatToken(request.tokenPrefix, task.id);
  if (isLeasedUnder(row, token)) return { answer: { outcome: "claimed" } };
  if (row.state === "leased") {
    return { answer: { outcome: "leased", leaseUntil: row.until as number } };
  }
  if (row.lease?.token === token) return { answer: { outcome: "unknown" } };
  if (request.held) return { answer: { outcome: "held" } };
  return { answer: { outcome: "claimed" }, row: claimTask(row, task, request) };
}

/** What `readTask` returns of a row. */
export function storedTask(
  { state, until }: Pick<TaskLife, "state" | "until">,
  of: Pick<StoredTask, "queue" | "timeoutMs" | "header" | "parameters">,
): StoredTask | undefined {
  if (state === "dropped") return undefined;
  return { ...of, state, ...defined({ until: until ?? undefined }) };
}

/** An extension never shortens and never passes the deadline; too late it is stale. */
export function extendLease<Of extends LeaseTerms>(
  row: TaskLife<Of> | undefined,
  request: {
    readonly token: string;
    readonly until: number;
    readonly now: number;
    readonly lateMs: number;
  },
): Change<ExtendAnswer, Of> {
  if (row?.lease?.token !== request.token || row.state === "queued") {
    return { answer: { outcome: "stale" } };
  }
  const ends = row.until as number;
  if (request.now > ends + request.lateMs) return { answer: { outcome: "stale" } };
  if (row.state === "dropped") return { answer: { outcome: "cancelled" } };
  const leaseUntil = Math.max(ends, Math.min(request.until, row.lease.deadline));
  const answer: ExtendAnswer = { outcome: "extended", leaseUntil };
  return leaseUntil === ends ? { answer } : { answer, row: { ...row, until: leaseUntil } };
}

/** The token stays with the queued task, so that a repeat is `released` until it is leased again. */
export function releaseTask<Of extends LeaseTerms>(
  row: TaskLife<Of> | undefined,
  request: Moment & { readonly token: string },
): Change<ReleaseAnswer, Of> {
  if (row?.lease?.token !== request.token || row.state === "dropped") return { answer: "stale" };
  if (row.state === "queued") return { answer: "released" };
  return { answer: "released", row: queued(row, request) };
}

/** A queued task when its execution becomes held, or no longer is; others are not concerned. */
export function holdTask(row: TaskLife, moment: Moment): TaskLife {
  if (row.state !== "queued") return row;
  return queued({ queueLeft: queueLeftAt(row, moment.now), lease: row.lease }, moment);
}

/** A leased task becomes a tombstone; undefined: nothing is left of it. */
export function dropTask(row: TaskLife): TaskLife | undefined {
  if (row.state === "queued") return undefined;
  return row.state === "dropped" ? row : { ...row, state: "dropped" };
}

/** A tombstone goes when the lease would have ended. */
export function isForgotten({ state, until }: TaskLife, now: number): boolean {
  return state === "dropped" && (until as number) < now;
}

/** Whether a commit may settle it, which removes the task; `held`: before the commit. */
export function maySettle(
  row: TaskLife | undefined,
  { token, held }: { readonly token: string | null; readonly held: boolean },
): boolean {
  if (row === undefined) return false;
  return token === null ? row.state === "queued" && !held : isLeasedUnder(row, token);
}

/** Whether a commit may expire it: the lease, or the wait in the queue, ends as it was seen. */
export function mayExpire(
  row: TaskLife | undefined,
  { token, until }: CommitRequest["expire"][number],
): boolean {
  if (row === undefined || row.until !== until) return false;
  return token === null ? row.state === "queued" : isLeasedUnder(row, token);
}
