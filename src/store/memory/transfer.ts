/** Dumps of the memory store, and what they restore. */
import { defined } from "../../base/defined.ts";
import { type DumpKind, type DumpRows, dumpPage, restoredPlace, takeRows } from "../kit/dump.ts";
import { compareText } from "../kit/order.ts";
import { dueOf } from "../kit/task-life.ts";
import type {
  DumpAnswer,
  DumpedHead,
  DumpedTask,
  DumpRequest,
  ExecutionDump,
  RestoreRequest,
} from "../store.ts";
import type { MemoryExecution, MemoryPartition, MemoryTask } from "./records.ts";

export function dump(partition: MemoryPartition, request: DumpRequest): Promise<DumpAnswer> {
  return dumpPage(
    {
      ids: async ({ after, limit }) =>
        [...partition.executions.keys()]
          .filter((id) => after === undefined || compareText(id, after) > 0)
          .sort(compareText)
          .slice(0, limit),
      head: async ({ id }) => {
        const execution = partition.executions.get(id);
        return execution && dumpedHead(execution);
      },
      rows: async (key, kind, skip) => {
        const execution = partition.executions.get(key.id);
        return execution === undefined ? [] : rowsOf(execution, kind, skip);
      },
    },
    request,
  );
}

function dumpedHead(execution: MemoryExecution): DumpedHead {
  const { head, tombstoneUntil: until, kept } = execution;
  if (until !== undefined) return { kind: "tombstone", head, until, ...defined({ kept }) };
  const { recentCommitIds, createdBy, requestHash, listing, held, state } = execution;
  const always = { head, recentCommitIds, createdBy, listing, held, state };
  return { kind: "execution", ...always, ...defined({ requestHash }) };
}

function rowsOf<Kind extends DumpKind>(
  execution: MemoryExecution,
  kind: Kind,
  skip: number,
): DumpRows[Kind][] {
  const { data, history, tasks, timers, messages } = execution;
  const all: { [One in DumpKind]: () => Iterable<DumpRows[One]> } = {
    fields: () => data,
    history: () => history,
    tasks: () => [...tasks.values()].sort((a, b) => a.sequence - b.sequence).map(dumpedTask),
    timers: () => [...timers.values()].map(({ id, at }) => ({ id, at })),
    messages: () =>
      [...messages.values()].map(({ id, body, deliveries }) => ({ id, body, deliveries })),
  };
  return takeRows(all[kind](), skip);
}

function dumpedTask(task: MemoryTask): DumpedTask {
  const { id, queue, priority, timeoutMs, heartbeatMs, header, parameters, queuedAt, row } = task;
  const terms = { id, queue, priority, timeoutMs, heartbeatMs, header, parameters, queuedAt };
  return { ...terms, ...row };
}

export function restore(partition: MemoryPartition, request: RestoreRequest): void {
  const { key, piece, now } = request;
  if (piece.first !== undefined) begin(partition, request, piece.first);
  const execution = partition.executions.get(key.id);
  if (execution === undefined) return;
  for (const [name, value] of piece.fields) execution.data.set(name, value);
  const { after, items } = piece.history;
  if (items.length > 0) execution.history.splice(after, Number.POSITIVE_INFINITY, ...items);
  restoreTasks(partition, execution, piece.tasks);
  for (const timer of piece.timers) partition.addTimer(execution, timer, 0);
  for (const { id, body, deliveries } of piece.messages) {
    const known = execution.messages.get(id);
    if (known !== undefined) partition.deleteMessage(known);
    const message = { execution, id, body, deliveries, visibleAt: now, claimId: undefined };
    execution.messages.set(id, message);
    partition.messages.add(message);
  }
}

/** What an interrupted restoration has left is replaced. */
function begin(partition: MemoryPartition, { key, now }: RestoreRequest, first: DumpedHead): void {
  const known = partition.executions.get(key.id);
  if (known !== undefined) clear(partition, known);
  if (first.kind === "tombstone" && first.until <= now) return;
  const execution: MemoryExecution = {
    key,
    ...(first.kind === "tombstone" ? buried(key.id, first) : live(first)),
    data: new Map(),
    history: [],
    tasks: new Map(),
    timers: new Map(),
    messages: new Map(),
  };
  partition.executions.set(key.id, execution);
  if (execution.tombstoneUntil === undefined) partition.listings.add(execution);
  else partition.graves.add(execution);
}

type Beginning = Omit<
  MemoryExecution,
  "key" | "data" | "history" | "tasks" | "timers" | "messages"
>;

function live(first: DumpedHead & { readonly kind: "execution" }): Beginning {
  const { kind: _, requestHash, ...execution } = first;
  return { ...execution, requestHash, tombstoneUntil: undefined, kept: undefined };
}

function buried(id: string, first: DumpedHead & { readonly kind: "tombstone" }): Beginning {
  const { head, until: tombstoneUntil, kept } = first;
  const status = kept?.status ?? "COMPLETED";
  return {
    head,
    tombstoneUntil,
    kept,
    listing: { id, workflow: "", version: 0, status, startedAt: 0 },
    createdBy: "",
    requestHash: undefined,
    recentCommitIds: [],
    held: false,
    state: "",
  };
}

function clear(partition: MemoryPartition, execution: MemoryExecution): void {
  for (const task of execution.tasks.values()) partition.deleteTask(task);
  for (const timer of execution.timers.values()) partition.deleteTimer(timer);
  for (const message of execution.messages.values()) partition.deleteMessage(message);
  if (execution.tombstoneUntil === undefined) partition.listings.delete(execution);
  partition.graves.delete(execution);
  partition.executions.delete(execution.key.id);
}

function restoreTasks(
  partition: MemoryPartition,
  execution: MemoryExecution,
  { after, items }: ExecutionDump["tasks"],
): void {
  for (const [i, dumped] of items.entries()) {
    const known = execution.tasks.get(dumped.id);
    if (known !== undefined) partition.deleteTask(known);
    const { state, until, queueLeft, lease, ...terms } = dumped;
    const row = { state, until, queueLeft, lease };
    const sequence = restoredPlace(dumped.queuedAt, after + i);
    const task: MemoryTask = {
      kind: "task",
      ...terms,
      sequence,
      execution,
      row,
      due: dueOf(row),
      claimId: undefined,
    };
    execution.tasks.set(task.id, task);
    partition.index(task);
  }
}
