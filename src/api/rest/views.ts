/** Results of the orchestrator, in the form of REST answers. */

import type { ParentLink } from "../../model/child.ts";
import type { HistoryEntry } from "../../model/entry.ts";
import type { Failure } from "../../model/execution.ts";
import { isOpen } from "../../model/execution.ts";
import { parseQueueKey } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import type {
  ActionStats,
  ActionView,
  ExecutionResult,
  ExecutionView,
  ItemView,
  Page,
  WorkflowSummary,
  WorkflowVersion,
} from "../../runtime/shared/orchestrator.ts";
import type { Listing } from "../../store/store.ts";
import { moment, type RawJson, raw, StreamedJson, toJsonText } from "./json.ts";

export function pageView<Item>(page: Page<Item>, view: (item: Item) => unknown): unknown {
  const { items, cursor, incomplete } = page;
  return { items: items.map(view), cursor, incomplete };
}

export function workflowSummaryView({ name, version, savedAt }: WorkflowSummary) {
  return { name, version, savedAt: moment(savedAt) };
}

export function workflowView(workflow: WorkflowVersion): unknown {
  return { ...workflowSummaryView(workflow), definition: workflow.definition };
}

export function actionStatsView(all: ActionStats): unknown {
  const { definition, registered, queued, running, ...stats } = all;
  return {
    definition,
    registered,
    queued,
    running,
    atLeast: stats.atLeast,
    oldestWaitingAt: moment(stats.oldestAt),
    queues: stats.queues.map((queue) => ({
      // The store keeps one list for each queue and action; the action is known here.
      queue: parseQueueKey(queue.queue).queue,
      queued: queue.queued,
      running: queue.leased,
      atLeast: queue.atLeast,
      oldestWaitingAt: moment(queue.oldestAt),
      workers: queue.workers,
    })),
  };
}

export function failureView(failure: Failure | undefined): unknown {
  if (!failure) return undefined;
  const { code, message, details, action } = failure;
  return { code, message, details, action };
}

export function listingView(listing: Listing): Record<string, unknown> {
  const { id, workflow, version, status, startedAt, endedAt, correlationId, parent } = listing;
  return {
    id,
    workflow,
    version,
    status,
    startedAt: moment(startedAt),
    endedAt: moment(endedAt),
    correlationId,
    parent: parent === undefined ? undefined : { id: parent },
  };
}

export function resultView({ id, status, result, failure }: ExecutionResult) {
  const shown = typeof result === "string" ? raw(result) : streamed(result);
  return { id, status, result: shown, error: failureView(failure) };
}

function streamed(pieces: AsyncIterable<JsonText> | undefined): StreamedJson | undefined {
  return pieces && new StreamedJson(pieces);
}

export function entryView(entry: HistoryEntry): unknown {
  const { sequence, at, kind, action, attempt, details, who } = entry;
  return { sequence, at: moment(at), kind, action, attempt, details, who };
}

/** `$` as templates see it. Action keys never collide with `input`, which is reserved. */
async function* dataPieces(execution: ExecutionView): AsyncGenerator<JsonText> {
  yield '{"input":';
  yield* execution.input();
  for await (const batch of execution.outputs()) {
    let piece = "";
    for (const [key, output] of batch) {
      if (output !== undefined) piece += `,${JSON.stringify(key)}:{"output":${output}}`;
    }
    yield piece;
  }
  yield "}";
}

/** All but its payloads and its actions. */
export function executionFrame(execution: ExecutionView) {
  const { run, pausedAt, cancelReason, failure, bufferedSignals } = execution;
  return {
    ...listingView(execution),
    run,
    pausedAt: moment(pausedAt),
    cancelReason,
    parent: parentView(execution.parentLink),
    error: failureView(failure),
    bufferedSignals,
  };
}

export function executionView(execution: ExecutionView): unknown {
  return {
    ...executionFrame(execution),
    input: streamed(execution.input()),
    result: streamed(execution.result),
    actions: streamed(actionPieces(execution)),
    data: streamed(dataPieces(execution)),
  };
}

function parentView(parent: ParentLink | undefined): unknown {
  if (parent === undefined) return undefined;
  const { id, action, item, detached } = parent;
  return { id, action, item, detached };
}

/** Each with its output, in the order in which outputs are read. */
async function* actionPieces({ actions, outputs }: ExecutionView): AsyncGenerator<JsonText> {
  let next = 0;
  const upTo = (end: number, found: ReadonlyMap<string, JsonText | undefined>) => {
    const views = actions.slice(next, end).map((action) => {
      const output = found.get(action.key);
      return toJsonText(actionView(action, output === undefined ? {} : { output: raw(output) }));
    });
    const separator = next > 0 && end > next ? "," : "";
    next = end;
    return separator + views.join(",");
  };
  yield "[";
  for await (const batch of outputs()) {
    const [last] = batch.at(-1)!;
    // Actions that never had an output come along with the next one that may have.
    yield upTo(actions.findIndex(({ key }) => key === last) + 1, new Map(batch));
  }
  yield `${upTo(actions.length, new Map())}]`;
}

/** `outputBytes`: of an output that is not shown. */
export function actionView(
  action: ActionView,
  {
    output,
    outputBytes,
  }: { readonly output?: RawJson | undefined; readonly outputBytes?: number | undefined },
): unknown {
  const { id, type, name, status, unpolled, waitingFor, skippedBy, causes, route, events } = action;
  return {
    id,
    type,
    name,
    status,
    unpolled,
    waitingFor,
    skippedBy,
    causes,
    route,
    startedAt: moment(action.startedAt),
    endedAt: moment(action.endedAt),
    dueAt: moment(action.dueAt),
    events,
    child: action.child,
    rounds: action.rounds,
    items: action.items,
    error: failureView(action.failure),
    attempts: action.attempts.map((attempt) => ({
      number: attempt.number,
      // Empty where the worker did not name itself.
      worker: attempt.worker || undefined,
      startedAt: moment(attempt.startedAt),
      endedAt: moment(attempt.endedAt),
      leaseUntil: moment(attempt.leaseUntil),
      heartbeatAt: moment(attempt.heartbeatAt),
      progress: attempt.progress === undefined ? undefined : raw(attempt.progress),
      error: failureView(attempt.failure),
    })),
    output,
    outputBytes,
  };
}

/** One item of a map. */
export function itemView(item: ItemView): unknown {
  const { index, status, attempt, startedAt, endedAt, dueAt, child, output, failure } = item;
  return {
    index,
    status,
    attempt,
    startedAt: moment(startedAt),
    endedAt: moment(endedAt),
    dueAt: moment(dueAt),
    child,
    output: output === undefined ? undefined : raw(output),
    error: failure === undefined ? undefined : raw(failure),
  };
}

const openStatuses: ReadonlySet<string> = new Set(["SCHEDULED", "RUNNING", "WAITING", "RETRYING"]);
const endedStatuses: ReadonlySet<string> = new Set(["COMPLETED", "FAILED", "TIMED_OUT"]);

/** The form of the legacy routes. */
export function legacyExecutionView(execution: ExecutionView): unknown {
  const open = execution.actions.filter((action) => openStatuses.has(action.status));
  const ended = execution.actions.filter((action) => endedStatuses.has(action.status));
  ended.sort((a, b) => (a.endedAt ?? 0) - (b.endedAt ?? 0));
  const completedActions = ended.map((action) => action.id);
  const waitingOnEvent = open.find((action) => action.events?.length)?.events?.[0] ?? "";
  return {
    id: execution.id,
    state: legacyState(execution),
    runningActions: open.map((action) => action.id),
    completedActions,
    waitingOnEvent,
    // The names that version 0.1.0 gave them.
    executedActions: completedActions,
    event: waitingOnEvent,
    data: streamed(dataPieces(execution)),
  };
}

/** The legacy states show what an execution waits for when nothing else of it is under way. */
export function legacyState(execution: Pick<ExecutionView, "status" | "actions">): string {
  const { status } = execution;
  if (!isOpen(status)) return status === "COMPLETED" ? "COMPLETED" : "FAILED";
  if (status === "PAUSED") return "PAUSED";
  const open = execution.actions.filter((action) => openStatuses.has(action.status));
  const waits = open.filter((one) => one.type === "system" && one.name === "wait");
  const delays = open.filter((one) => one.type === "system" && one.name === "delay");
  if (open.length === 0 || waits.length + delays.length < open.length) return "RUNNING";
  return waits.length > 0 ? "EVENT WAITING" : "DELAY WAITING";
}
