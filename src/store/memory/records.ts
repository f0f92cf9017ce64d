/** What the memory store keeps, and the partition that indexes it: queues, due items, messages. */
import type { ExecutionKey } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import type { TaskLife } from "../kit/task-life.ts";
import type { Head, KeptStart, Listing } from "../store.ts";
import { Heap } from "./heap.ts";
import { MemoryListings } from "./listings.ts";

export interface MemoryExecution {
  readonly key: ExecutionKey;
  listing: Listing;
  /** Commit id of the creation. */
  readonly createdBy: string;
  readonly requestHash: string | undefined;
  head: Head;
  recentCommitIds: readonly string[];
  held: boolean;
  state: JsonText;
  readonly data: Map<string, JsonText>;
  readonly history: JsonText[];
  readonly tasks: Map<string, MemoryTask>;
  readonly timers: Map<string, MemoryTimer>;
  readonly messages: Map<string, MemoryMessage>;
  /** Set once it is being removed, or is gone: then only these and the head mean anything. */
  tombstoneUntil: number | undefined;
  kept: KeptStart | undefined;
}

interface Due {
  /** Order of insertion in the whole store. */
  readonly sequence: number;
  readonly execution: MemoryExecution;
  readonly id: string;
  /** When claimDue gives it next, hiding included; null: never. */
  due: number | null;
  /** The latest claim that was given it. */
  claimId: string | undefined;
}

export interface MemoryTask extends Due {
  readonly kind: "task";
  readonly queue: string;
  readonly priority: number;
  readonly timeoutMs: number;
  readonly heartbeatMs: number;
  readonly header: JsonText;
  readonly parameters: JsonText;
  readonly queuedAt: number;
  row: TaskLife;
}

export interface MemoryTimer extends Due {
  readonly kind: "timer";
  at: number;
}

export interface MemoryMessage {
  readonly execution: MemoryExecution;
  readonly id: string;
  readonly body: JsonText;
  deliveries: number;
  visibleAt: number;
  claimId: string | undefined;
}

function comesFirst(a: MemoryTask, b: MemoryTask): boolean {
  if (a.priority !== b.priority) return a.priority > b.priority;
  return a.sequence < b.sequence;
}

function isDueBefore(a: MemoryTask | MemoryTimer, b: MemoryTask | MemoryTimer): boolean {
  if (a.due !== b.due) return (a.due as number) < (b.due as number);
  if (a.kind !== b.kind) return a.kind === "timer";
  return a.sequence < b.sequence;
}

export class MemoryPartition {
  readonly executions = new Map<string, MemoryExecution>();
  /** Those that are neither removed nor being removed. */
  readonly listings = new MemoryListings();
  /** Claimable tasks only, by queue; an empty queue is absent. */
  readonly queues = new Map<string, Heap<MemoryTask>>();
  readonly due = new Heap<MemoryTask | MemoryTimer>(isDueBefore);
  /** In order of insertion. */
  readonly messages = new Set<MemoryMessage>();
  readonly dropped = new Set<MemoryTask>();
  /** Removed executions, those first whose tombstones end first. */
  readonly graves = new Heap<MemoryExecution>(
    (a, b) => (a.tombstoneUntil as number) < (b.tombstoneUntil as number),
  );

  /** Puts the task into the indexes that its present state calls for. */
  index(task: MemoryTask): void {
    const { state } = task.row;
    if (state === "dropped") this.dropped.add(task);
    if (task.due !== null) this.due.add(task);
    if (state !== "queued" || task.execution.held) return;
    let queue = this.queues.get(task.queue);
    if (queue === undefined) {
      queue = new Heap(comesFirst);
      this.queues.set(task.queue, queue);
    }
    queue.add(task);
  }

  /** Takes the task out of all indexes: before any change of it. */
  unindex(task: MemoryTask): void {
    this.dropped.delete(task);
    this.due.delete(task);
    const queue = this.queues.get(task.queue);
    queue?.delete(task);
    if (queue?.size === 0) this.queues.delete(task.queue);
  }

  addTimer(execution: MemoryExecution, timer: { id: string; at: number }, sequence: number): void {
    const known = execution.timers.get(timer.id);
    if (known === undefined) {
      const added: MemoryTimer = {
        kind: "timer",
        sequence,
        execution,
        id: timer.id,
        at: timer.at,
        due: timer.at,
        claimId: undefined,
      };
      execution.timers.set(timer.id, added);
      this.due.add(added);
      return;
    }
    this.due.delete(known);
    known.at = timer.at;
    known.due = timer.at;
    known.claimId = undefined;
    this.due.add(known);
  }

  deleteTimer(timer: MemoryTimer): void {
    timer.execution.timers.delete(timer.id);
    this.due.delete(timer);
  }

  deleteTask(task: MemoryTask): void {
    this.unindex(task);
    task.execution.tasks.delete(task.id);
  }

  deleteMessage(message: MemoryMessage): void {
    message.execution.messages.delete(message.id);
    this.messages.delete(message);
  }
}
