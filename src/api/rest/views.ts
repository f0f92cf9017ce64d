/** What the orchestrator answers, in the form of the REST answers. */

import type { HistoryEntry } from "../../model/entry.ts";
import type { Failure } from "../../model/execution.ts";
import { isOpen } from "../../model/execution.ts";
import type {
  ActionStats,
  ActionView,
  ExecutionResult,
  ExecutionView,
  Page,
  WorkflowVersion,
} from "../../runtime/orchestrator.ts";
import type { Listing } from "../../store/store.ts";
import { moment, type RawJson, raw } from "./json.ts";

export function pageView<Item>(page: Page<Item>, view: (item: Item) => unknown): unknown {
  return { items: page.items.map(view), cursor: page.cursor };
}

export function workflowView(workflow: WorkflowVersion): unknown {
  const { name, version, savedAt, definition } = workflow;
  return { name, version, savedAt: moment(savedAt), definition };
}

export function actionStatsView({ definition, queued, running, ...stats }: ActionStats): unknown {
  return {
    definition,
    queued,
    running,
    oldestWaitingAt: moment(stats.oldestAt),
    queues: stats.queues.map((queue) => ({
      // The store keeps one list for each queue and action; the action is known here.
      queue: queue.queue.slice(0, queue.queue.lastIndexOf("/")),
      queued: queue.queued,
      running: queue.leased,
      oldestWaitingAt: moment(queue.oldestAt),
    })),
  };
}

function failureView(failure: Failure | undefined): unknown {
  if (!failure) return undefined;
  const { code, message, details, action } = failure;
  return { code, message, details, action };
}

export function listingView(listing: Listing): Record<string, unknown> {
  const { id, workflow, version, status, startedAt, endedAt, correlationId } = listing;
  return {
    id,
    workflow,
    version,
    status,
    startedAt: moment(startedAt),
    endedAt: moment(endedAt),
    correlationId,
  };
}

export function resultView({ id, status, result, failure }: ExecutionResult) {
  return {
    id,
    status,
    result: result === undefined ? undefined : raw(result),
    error: failureView(failure),
  };
}

export function entryView(entry: HistoryEntry): unknown {
  const { sequence, at, kind, action, attempt, details } = entry;
  return { sequence, at: moment(at), kind, action, attempt, details };
}

/** `$` as templates see it. Action keys never collide with `input`, which is reserved. */
export function dataView(execution: ExecutionView): Record<string, unknown> {
  const data: [string, unknown][] = [["input", raw(execution.input)]];
  for (const [key, output] of execution.outputs) data.push([key, { output: raw(output) }]);
  return Object.fromEntries(data);
}

export function executionView(execution: ExecutionView): unknown {
  const { run, pausedAt, cancelReason, failure, result, bufferedSignals } = execution;
  return {
    ...listingView(execution),
    run,
    pausedAt: moment(pausedAt),
    cancelReason,
    input: raw(execution.input),
    result: result === undefined ? undefined : raw(result),
    error: failureView(failure),
    actions: execution.actions.map((action) =>
      actionView(action, rawOutput(execution, action.key)),
    ),
    data: dataView(execution),
    bufferedSignals,
  };
}

function rawOutput(execution: ExecutionView, key: string): RawJson | undefined {
  const output = execution.outputs.get(key);
  return output === undefined ? undefined : raw(output);
}

function actionView(action: ActionView, output: RawJson | undefined): unknown {
  const { id, type, name, status, skippedBy, route, events } = action;
  return {
    id,
    type,
    name,
    status,
    skippedBy,
    route,
    startedAt: moment(action.startedAt),
    endedAt: moment(action.endedAt),
    dueAt: moment(action.dueAt),
    events,
    error: failureView(action.failure),
    attempts: action.attempts.map((attempt) => ({
      number: attempt.number,
      worker: attempt.worker,
      startedAt: moment(attempt.startedAt),
      endedAt: moment(attempt.endedAt),
      leaseUntil: moment(attempt.leaseUntil),
      heartbeatAt: moment(attempt.heartbeatAt),
      progress: attempt.progress === undefined ? undefined : raw(attempt.progress),
      error: failureView(attempt.failure),
    })),
    output,
  };
}

const openStatuses: ReadonlySet<string> = new Set(["SCHEDULED", "RUNNING", "WAITING", "RETRYING"]);
const endedStatuses: ReadonlySet<string> = new Set(["COMPLETED", "FAILED", "TIMED_OUT"]);

/** The form of the original routes. */
export function originalExecutionView(execution: ExecutionView): unknown {
  const open = execution.actions.filter((action) => openStatuses.has(action.status));
  const ended = execution.actions.filter((action) => endedStatuses.has(action.status));
  ended.sort((a, b) => (a.endedAt ?? 0) - (b.endedAt ?? 0));
  return {
    id: execution.id,
    state: originalState(execution),
    runningActions: open.map((action) => action.id),
    executedActions: ended.map((action) => action.id),
    event: open.find((action) => action.events?.length)?.events?.[0] ?? "",
    data: dataView(execution),
  };
}

/** The original states tell what an execution waits for when nothing else of it is under way. */
export function originalState(execution: Pick<ExecutionView, "status" | "actions">): string {
  const { status } = execution;
  if (!isOpen(status)) return status === "COMPLETED" ? "COMPLETED" : "FAILED";
  if (status === "PAUSED") return "PAUSED";
  const open = execution.actions.filter((action) => openStatuses.has(action.status));
  const waits = open.filter((one) => one.type === "system" && one.name === "wait");
  const delays = open.filter((one) => one.type === "system" && one.name === "delay");
  if (open.length === 0 || waits.length + delays.length < open.length) return "RUNNING";
  return waits.length > 0 ? "EVENT WAITING" : "DELAY WAITING";
}
