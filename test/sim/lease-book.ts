/**
 * Who holds which task, kept beside the store from what it answered: a second opinion on leases. An
 * attempt has one live lease at most, and only that one settles it or lapses.
 */
import { limits } from "../../src/base/limits.ts";
import type { ExecutionKey } from "../../src/model/ids.ts";
import { formatPlace, parseTaskId, parseToken } from "../../src/model/ids.ts";
import type {
  ClaimTasksAnswer,
  CommitRequest,
  ExtendAnswer,
  Holdings,
  StoreEffects,
} from "../../src/store/store.ts";

interface OpenTask {
  readonly executionId: string;
  readonly action: string;
  lease: { readonly token: string; readonly since: number; until: number } | undefined;
}

export class LeaseBook {
  /** Every token that was ever given, and every one that settled its attempt. */
  readonly granted = new Set<string>();
  readonly settled = new Set<string>();
  /** Leases given from then on do not lapse: every worker is there, and keeps its word. */
  calmFrom = Number.POSITIVE_INFINITY;
  readonly #tasks = new Map<string, OpenTask>();
  readonly #byAction = new Map<string, string>();
  readonly #violate: (sentence: string) => void;
  readonly #now: () => number;

  constructor(now: () => number, violate: (sentence: string) => void) {
    this.#now = now;
    this.#violate = violate;
  }

  /** Whether it holds its task now. */
  isLive(token: string): boolean {
    return this.#tasks.get(parseToken(token)!.taskId)?.lease?.token === token;
  }

  committed({ settle, expire, effects }: CommitRequest): void {
    for (const { taskId, token } of settle) {
      if (token !== null && this.settled.has(token)) {
        this.#violate(`the token ${token} settled twice`);
      }
      const task = this.#tasks.get(taskId);
      if (task === undefined || (task.lease?.token ?? null) !== token) {
        this.#violate(`${taskId} was settled with ${token}, which does not hold it`);
      }
      if (token !== null) this.settled.add(token);
      this.#close(taskId);
    }
    // A result that was there before the lapse goes first, in one commit: the lapse is of nothing.
    const endedNow = new Set(settle.map(({ taskId }) => taskId));
    for (const { taskId, token } of expire) {
      // It may have been given twice before it came to this commit.
      if (!endedNow.has(taskId)) this.#expire(taskId, token);
      endedNow.add(taskId);
    }
    this.added(effects);
  }

  #expire(taskId: string, token: string | null): void {
    const task = this.#tasks.get(taskId);
    if (task === undefined) this.#violate(`${taskId} lapsed, and is not open`);
    else if ((task.lease?.token ?? null) !== token) {
      this.#violate(`${taskId} lapsed as ${token}, but is held as ${task.lease?.token}`);
    } else if (task.lease !== undefined) {
      const early = task.lease.until - this.#now();
      if (early > limits.clockSkewMsMax) this.#violate(`${taskId} lapsed ${early} ms too early`);
      if (task.lease.since >= this.calmFrom) this.#violate(`${taskId} lapsed, and nothing failed`);
    }
    this.#close(taskId);
  }

  added(effects: StoreEffects): void {
    for (const taskId of effects.dropTasks) this.#close(taskId);
    for (const { id, lease } of effects.tasks) {
      const task = parseTaskId(id)!;
      const action = `${task.executionId}/${formatPlace(task)}`;
      const open = this.#byAction.get(action);
      if (open !== undefined) this.#violate(`${id} is added while ${open} is open`);
      this.#byAction.set(action, id);
      this.#tasks.set(id, { executionId: task.executionId, action, lease: undefined });
      if (lease !== undefined) this.#grant(id, lease.token, lease.leaseUntil);
    }
  }

  claimed({ tasks }: Pick<ClaimTasksAnswer, "tasks">): void {
    for (const { id, token, leaseUntil } of tasks) this.#grant(id, token, leaseUntil);
  }

  #grant(taskId: string, token: string, until: number): void {
    const task = this.#tasks.get(taskId);
    // The same claim repeated is given the same lease.
    if (task?.lease?.token === token) return;
    if (task === undefined) this.#violate(`${taskId} is leased, and is not open`);
    else if (task.lease !== undefined) {
      this.#violate(`${taskId} has two leases: ${task.lease.token} and ${token}`);
    } else task.lease = { token, until, since: this.#now() };
    this.granted.add(token);
  }

  extended(
    leases: readonly { readonly taskId: string; readonly token: string }[],
    answers: readonly ExtendAnswer[],
  ): void {
    for (const [index, answer] of answers.entries()) {
      if (answer.outcome !== "extended") continue;
      const { taskId, token } = leases[index]!;
      const lease = this.#tasks.get(taskId)?.lease;
      if (lease?.token !== token) this.#violate(`${token} was extended, and holds nothing`);
      else lease.until = answer.leaseUntil;
    }
  }

  released(
    tasks: readonly { readonly taskId: string; readonly token: string }[],
    answers: readonly ("released" | "stale")[],
  ): void {
    for (const [index, answer] of answers.entries()) {
      const { taskId, token } = tasks[index]!;
      const task = this.#tasks.get(taskId);
      if (answer !== "released" || task?.lease === undefined) continue;
      if (task.lease.token !== token) this.#violate(`${token} released the lease of another`);
      task.lease = undefined;
    }
  }

  removed(key: ExecutionKey): void {
    for (const [id, task] of this.#tasks) if (task.executionId === key.id) this.#close(id);
  }

  /** What the store holds of an execution is what this book says. */
  compare(key: ExecutionKey, { tasks }: Holdings): void {
    for (const { id, token } of tasks) {
      const known = this.#tasks.get(id);
      if (known === undefined) this.#violate(`the store holds ${id}, which is not open`);
      else if (known.lease?.token !== token) this.#violate(`the store holds ${id} as ${token}`);
    }
    const held = new Set(tasks.map((task) => task.id));
    for (const [id, task] of this.#tasks) {
      if (task.executionId === key.id && !held.has(id)) this.#violate(`the store has lost ${id}`);
    }
  }

  #close(taskId: string): void {
    const task = this.#tasks.get(taskId);
    if (task === undefined) return;
    this.#tasks.delete(taskId);
    if (this.#byAction.get(task.action) === taskId) this.#byAction.delete(task.action);
  }
}
