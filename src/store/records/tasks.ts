/** Leases of single tasks: by ticket, extended, given back. */
import { defined } from "../../base/defined.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import * as life from "../kit/task-life.ts";
import type {
  Claimant,
  ClaimTaskAnswer,
  ClaimTaskRequest,
  ExtendAnswer,
  ExtendRequest,
  HeldLease,
  Holdings,
  LeasedTask,
  ReleaseAnswer,
  ReleaseRequest,
  StoredTask,
  TaskPlace,
  TaskView,
} from "../store.ts";
import type { Edit } from "./edit.ts";
import { become, lifeOf } from "./effects.ts";
import { isHeld } from "./holds.ts";
import { type DroppedTask, type Group, type TaskRecord, taskIn } from "./model.ts";
import type { Records } from "./records.ts";
import { PartMissing } from "./texts.ts";

/** A claimed task as its record says it; its texts may stand in parts. */
export interface ClaimedTask {
  readonly key: ExecutionKey;
  readonly task: TaskRecord;
}

export class Tasks {
  readonly #records: Records;

  constructor(records: Records) {
    this.#records = records;
  }

  async claim(request: ClaimTaskRequest): Promise<ClaimTaskAnswer> {
    const { key, taskId, now } = request;
    const options = { key, now, rows: [taskId], headKind: "open" } as const;
    const answer = await this.#records.update(options, (edit) => {
      const task = liveTask(edit, taskId);
      if (task === undefined) return { outcome: "unknown" } as const;
      const held = isHeld(edit.record.hold);
      const claimed = life.claimByTicket(lifeOf(task, edit.record), task, { ...request, held });
      if (claimed.answer.outcome !== "claimed") return claimed.answer;
      return { outcome: "claimed", task: lease(edit, task, claimed.row) } as const;
    });
    if (answer.outcome !== "claimed") return answer;
    const [task] = await this.leased([{ key, task: answer.task }], request);
    return task === undefined ? { outcome: "unknown" } : { outcome: "claimed", task };
  }

  async read({ key, taskId }: TaskPlace): Promise<StoredTask | undefined> {
    return await this.#records.whole(async () => {
      const group = await this.#records.read(key, { rows: [taskId] });
      const { execution } = group;
      if (execution === undefined || execution.grave !== undefined) return undefined;
      const task = taskIn(group, taskId);
      if (task === undefined) return undefined;
      const { queue, timeoutMs } = task;
      const texts = await this.#records.texts.read(key, [task.header, task.parameters]);
      const [header = "", parameters = ""] = texts;
      const terms = { queue, timeoutMs, header, parameters };
      return life.storedTask(lifeOf(task, execution), terms);
    });
  }

  /** As workers get them; without those that have been dropped meanwhile. */
  async leased(claimed: readonly ClaimedTask[], worker: Claimant): Promise<readonly LeasedTask[]> {
    const tasks = await Promise.all(
      claimed.map(async ({ key, task }) => {
        const { id, queue, life: stored } = task;
        const texts = this.#records.texts.read(key, [task.header, task.parameters]);
        const [header, parameters] = await texts.catch((error) => {
          if (error instanceof PartMissing) return [];
          throw error;
        });
        if (header === undefined || parameters === undefined) return [];
        const { token, leasedAt, deadline } = stored.lease as life.Lease;
        const heartbeatMs = life.heartbeatOf(task, worker);
        const leaseUntil = stored.until as number;
        const terms = { token, leasedAt, leaseUntil, deadline, heartbeatMs };
        return { key, id, queue, ...terms, header, parameters };
      }),
    );
    return tasks.flat();
  }

  async extend({ leases, now, lateMs = 0 }: ExtendRequest): Promise<readonly ExtendAnswer[]> {
    return await this.#each(leases, now, (edit, { taskId, token, until }): ExtendAnswer => {
      const request = { token, until, now, lateMs };
      const task = liveTask(edit, taskId);
      if (task === undefined) {
        const dropped = edit.execution?.dropped.find(({ id }) => id === taskId);
        return life.extendLease(dropped && droppedLife(dropped), request).answer;
      }
      const { answer, row } = life.extendLease(lifeOf(task, edit.record), request);
      if (row !== undefined) edit.setTask(become(edit, task, row));
      return answer;
    });
  }

  /** Goes to the end of its queue, under a new place. */
  async release({ tasks, now }: ReleaseRequest): Promise<readonly ReleaseAnswer[]> {
    return await this.#each(tasks, now, (edit, { taskId, token }): ReleaseAnswer => {
      const task = liveTask(edit, taskId);
      if (task === undefined) return "stale";
      const request = { token, now, held: isHeld(edit.record.hold) };
      const { answer, row } = life.releaseTask(lifeOf(task, edit.record), request);
      if (row !== undefined) edit.setTask(edit.post(become(edit, task, row)));
      return answer;
    });
  }

  /** Those of one execution one after the other, as each may change its head. */
  async #each<Lease extends HeldLease, Answer>(
    leases: readonly Lease[],
    now: number,
    decide: (edit: Edit, lease: Lease) => Answer,
  ): Promise<readonly Answer[]> {
    const queues = new Map<string, Promise<unknown>>();
    return await Promise.all(
      leases.map((lease) => {
        const { key, taskId } = lease;
        const group = this.#loneGroup(key, taskId);
        const options = { key, now, rows: [taskId], ...defined({ group }) };
        const run = () => this.#records.update(options, (edit) => decide(edit, lease));
        const before = queues.get(key.id);
        const answer = before === undefined ? run() : before.then(run);
        queues.set(
          key.id,
          answer.catch(() => {}),
        );
        return answer;
      }),
    );
  }

  /** What this server remembers, where the lease is in the head. */
  #loneGroup(key: ExecutionKey, taskId: string): Group | undefined {
    const group = this.#records.cached(key);
    return group?.execution?.lone?.id === taskId ? group : undefined;
  }

  async holdings(key: ExecutionKey): Promise<Holdings> {
    const { execution, rows } = await this.#records.read(key, { rows: "all" });
    if (execution === undefined || execution.grave !== undefined) {
      return { tasks: [], timers: [], messages: [] };
    }
    const { lone, timers, messages } = execution;
    const tasks = [
      ...(lone === undefined ? [] : [lone]),
      ...[...rows.values()].map((row) => row.task),
    ]
      .filter((task) => task.life.state !== "dropped")
      .sort((a, b) => a.sequence - b.sequence);
    return {
      tasks: tasks.map(taskView),
      timers: timers.map(({ id, at }) => ({ id, at })),
      messages: messages.map(({ id }) => id),
    };
  }
}

/** Of an execution that is not removed. */
function liveTask(edit: Edit, taskId: string): TaskRecord | undefined {
  const { execution } = edit;
  if (execution === undefined || execution.grave !== undefined) return undefined;
  return edit.task(taskId);
}

/** Of a task on offer; without `row` it is leased already. */
export function lease(edit: Edit, task: TaskRecord, row: life.TaskLife | undefined): TaskRecord {
  if (row === undefined) return task;
  edit.strikePlace(task);
  const leased = { ...become(edit, task, row), place: undefined };
  edit.setTask(leased);
  return leased;
}

function droppedLife({ token, until }: DroppedTask): life.TaskLife {
  const terms = { token, deadline: until, workerId: "", leasedAt: 0 };
  return { state: "dropped", until, queueLeft: null, lease: terms };
}

function taskView({ id, queue, life: { state, until, lease: of } }: TaskRecord): TaskView {
  if (state === "queued" || of === undefined) return { id, queue, state: "queued" };
  const { workerId, token } = of;
  return { id, queue, state: "leased", workerId, token, leaseUntil: until as number };
}
