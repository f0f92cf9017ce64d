/** Executions in memory: create, commit, remove, and the reads of what they hold. */
import {
  createBuried,
  createFinds,
  keptStart,
  refuseCommit,
  sameHead,
  withCommitId,
} from "../kit/heads.ts";
import { purgedPerRemoval, removeRowsMax } from "../kit/removal.ts";
import type {
  CommitAnswer,
  CommitRequest,
  CreateAnswer,
  CreateRequest,
  Head,
  LoadAnswer,
  LoadRequest,
  RemoveAnswer,
  RemoveRequest,
  StoreEffects,
} from "../store.ts";
import type { MemoryExecution, MemoryPartition } from "./records.ts";
import { addTask, dropTask, setHeld, staleTasks } from "./tasks.ts";

export class MemoryExecutions {
  readonly #partition: MemoryPartition;
  readonly #nextSequence: () => number;

  constructor(partition: MemoryPartition, nextSequence: () => number) {
    this.#partition = partition;
    this.#nextSequence = nextSequence;
  }

  /** One that is neither removed nor being removed. */
  live(id: string): MemoryExecution | undefined {
    const execution = this.#partition.executions.get(id);
    return execution?.tombstoneUntil === undefined ? execution : undefined;
  }

  create(request: CreateRequest): CreateAnswer {
    const { key, commitId, requestHash, listing, state, now } = request;
    const known = this.#partition.executions.get(key.id);
    if (known?.tombstoneUntil !== undefined) {
      if (now < known.tombstoneUntil || this.#deleteRows(known)) return createBuried(known.kept);
      this.#partition.graves.delete(known);
    } else if (known !== undefined) {
      return createFinds({ ...known, status: known.listing.status }, request);
    }
    const head: Head = { revision: 1, commitId };
    const execution: MemoryExecution = {
      key,
      listing,
      createdBy: commitId,
      requestHash,
      head,
      recentCommitIds: [commitId],
      held: false,
      state,
      data: new Map(request.data),
      history: [],
      tasks: new Map(),
      timers: new Map(),
      messages: new Map(),
      tombstoneUntil: undefined,
      kept: undefined,
    };
    this.#partition.executions.set(key.id, execution);
    this.#partition.listings.add(execution);
    this.#apply(execution, request.effects, now);
    return { outcome: "created", head };
  }

  load(request: LoadRequest): LoadAnswer {
    const execution = this.#partition.executions.get(request.key.id);
    if (execution === undefined) return { outcome: "not_found" };
    if (execution.tombstoneUntil !== undefined) return { outcome: "tombstone" };
    const { head, recentCommitIds, held, state } = execution;
    const data = new Map<string, string>();
    for (const name of request.fields ?? execution.data.keys()) {
      const value = execution.data.get(name);
      if (value !== undefined) data.set(name, value);
    }
    const status = execution.listing.status;
    return { outcome: "loaded", head, recentCommitIds, status, held, state, data };
  }

  commit(request: CommitRequest): CommitAnswer {
    const execution = this.live(request.key.id);
    if (execution === undefined) return { outcome: "not_found" };
    const refused = refuseCommit(execution.head, execution.recentCommitIds, request);
    if (refused !== undefined) return refused;
    const tasks = staleTasks(execution, request);
    const timers = request.consumeTimers
      .filter(({ id, claimId }) => execution.timers.get(id)?.claimId !== claimId)
      .map(({ id }) => id);
    if (tasks.length > 0 || timers.length > 0) return { outcome: "stale", tasks, timers };

    for (const { taskId } of [...request.settle, ...request.expire])
      this.#deleteTask(execution, taskId);
    for (const { id } of request.consumeTimers) this.#deleteTimer(execution, id);
    if (request.hold !== undefined)
      setHeld(this.#partition, execution, { held: request.hold, now: request.now });
    for (const [name, value] of request.data) {
      if (value === null) execution.data.delete(name);
      else execution.data.set(name, value);
    }
    this.#apply(execution, request.effects, request.now);
    this.#advance(execution, request);
    return { outcome: "committed", head: execution.head };
  }

  remove(request: RemoveRequest): RemoveAnswer {
    const execution = this.#partition.executions.get(request.key.id);
    if (execution === undefined) return "not_found";
    if (!sameHead(execution.head, request.expected)) {
      return execution.tombstoneUntil === undefined ? "conflict" : "not_found";
    }
    if (execution.tombstoneUntil === undefined) {
      const { status, endedAt } = execution.listing;
      const { requestHash } = execution;
      execution.tombstoneUntil = request.tombstoneUntil;
      if (request.keepStart) execution.kept = keptStart({ requestHash, status, endedAt });
      this.#partition.listings.delete(execution);
      this.#partition.graves.add(execution);
    }
    if (this.#deleteRows(execution)) return "more";
    this.purge(request.now, purgedPerRemoval);
    return "removed";
  }

  /** Ends at most this many tombstones; returns whether there may be more to end. */
  purge(now: number, most: number): boolean {
    const { graves, executions } = this.#partition;
    for (let purged = 0; purged < most; purged++) {
      const execution = graves.first();
      if (execution === undefined || (execution.tombstoneUntil as number) > now) return false;
      if (this.#deleteRows(execution)) return true;
      graves.delete(execution);
      executions.delete(execution.key.id);
    }
    return true;
  }

  #deleteTask(execution: MemoryExecution, id: string): void {
    const task = execution.tasks.get(id);
    if (task !== undefined) this.#partition.deleteTask(task);
  }

  #deleteTimer(execution: MemoryExecution, id: string): void {
    const timer = execution.timers.get(id);
    if (timer !== undefined) this.#partition.deleteTimer(timer);
  }

  /** All drops come before all additions: a commit may replace what it ends. */
  #apply(execution: MemoryExecution, effects: StoreEffects, now: number): void {
    for (const id of effects.dropTasks) {
      const task = execution.tasks.get(id);
      if (task !== undefined) dropTask(this.#partition, task);
    }
    for (const id of effects.dropTimers) this.#deleteTimer(execution, id);
    for (const task of effects.tasks) {
      addTask(this.#partition, execution, task, { sequence: this.#nextSequence(), now });
    }
    for (const timer of effects.timers) {
      this.#partition.addTimer(execution, timer, this.#nextSequence());
    }
    for (const { id, body } of effects.messages) {
      const known = execution.messages.get(id);
      if (known !== undefined) this.#partition.deleteMessage(known);
      const added = { execution, id, body, deliveries: 0, visibleAt: now, claimId: undefined };
      execution.messages.set(id, added);
      this.#partition.messages.add(added);
    }
    execution.history.push(...effects.history);
  }

  #advance(execution: MemoryExecution, request: CommitRequest): void {
    const { commitId, status, endedAt, state } = request;
    const { endedAt: _, ...listing } = execution.listing;
    const isMoved = status !== listing.status;
    if (isMoved) this.#partition.listings.delete(execution);
    execution.listing =
      endedAt === undefined ? { ...listing, status } : { ...listing, status, endedAt };
    if (isMoved) this.#partition.listings.add(execution);
    execution.state = state;
    execution.head = { revision: execution.head.revision + 1, commitId };
    execution.recentCommitIds = withCommitId(execution.recentCommitIds, commitId);
  }

  /** Removes a chunk of what the execution owns; returns whether something is left. */
  #deleteRows(execution: MemoryExecution): boolean {
    let room = removeRowsMax;
    const deleteSome = <Row>(rows: Iterable<Row>, deleteOne: (row: Row) => void) => {
      for (const row of rows) {
        if (room === 0) return;
        deleteOne(row);
        room--;
      }
    };
    deleteSome(execution.tasks.values(), (task) => this.#partition.deleteTask(task));
    deleteSome(execution.timers.values(), (timer) => this.#partition.deleteTimer(timer));
    deleteSome(execution.messages.values(), (message) => this.#partition.deleteMessage(message));
    deleteSome(execution.data.keys(), (name) => execution.data.delete(name));
    execution.history.splice(0, room);
    execution.state = "";
    const { tasks, timers, messages, data, history } = execution;
    return tasks.size + timers.size + messages.size + data.size + history.length > 0;
  }
}
