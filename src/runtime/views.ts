/** Executions as people read them: put together from state, data and what the store holds. */
import { decodeExecution } from "../engine/codec.ts";
import type { Plan, PlanAction } from "../engine/plan.ts";
import { resultFields, resultText } from "../engine/result.ts";
import { limits } from "../limits.ts";
import type {
  ActionRecord,
  Execution,
  ExecutionState,
  ExecutionStatus,
} from "../model/execution.ts";
import { isOpen } from "../model/execution.ts";
import { executionKey, fields, formatTaskId, parseToken } from "../model/ids.ts";
import type { JsonText } from "../model/json.ts";
import type { Holdings, Listing, Store, TaskView } from "../store/store.ts";
import type { Beats } from "./beats.ts";
import { gone, notFound } from "./executions.ts";
import { Gate } from "./gate.ts";
import { listing } from "./listing.ts";
import type {
  ActionView,
  ExecutionResult,
  ExecutionView,
  ListExecutions,
  Page,
} from "./orchestrator.ts";
import type { Plans } from "./plans.ts";

interface Parts {
  readonly store: Store;
  readonly plans: Plans;
  readonly beats: Beats;
}

/** So many rows are looked at for one page; a filter that matches less goes on with its cursor. */
const scannedMax = 5_000;

export class Views {
  readonly #parts: Parts;
  /** Large executions asked for at once would otherwise stop everything else for as long. */
  readonly #gate = new Gate(limits.readsAtOnceMax);

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  execution(id: string, abort?: AbortSignal): Promise<ExecutionView> {
    return this.#gate.pass(() => this.#execution(id), abort);
  }

  async #execution(id: string): Promise<ExecutionView> {
    const { store, plans, beats } = this.#parts;
    const execution = await this.#load(id);
    const { state } = execution;
    const plan = await plans.get(state.workflow, state.version);
    const holdings = isOpen(state.status)
      ? await store.holdings(executionKey(id, store.partitions))
      : undefined;
    const result = finalResult(plan, execution);
    return {
      ...listing(execution),
      run: state.run,
      ...(state.pausedAt !== undefined && { pausedAt: state.pausedAt }),
      ...(state.failure !== undefined && { failure: state.failure }),
      ...(state.cancelReason !== undefined && { cancelReason: state.cancelReason }),
      actions: plan.actions.map((action) => actionView(execution, action, { holdings, beats })),
      input: execution.data.get(fields.input) ?? "null",
      outputs: outputsOf(plan, execution),
      ...(result !== undefined && { result }),
      bufferedSignals: state.signals.map((signal) => signal.event),
    };
  }

  /** All that it takes to know that it is open is its state: only what has ended is read whole. */
  async result(id: string, abort?: AbortSignal): Promise<ExecutionResult> {
    const { state } = await this.#load(id, []);
    if (state.status !== "COMPLETED") return unfinished(state);
    return this.#gate.pass(async () => {
      const execution = await this.#load(id);
      const { workflow, version } = execution.state;
      return resultOf(await this.#parts.plans.get(workflow, version), execution);
    }, abort);
  }

  async #load(id: string, names?: readonly string[]): Promise<Execution> {
    const key = executionKey(id, this.#parts.store.partitions);
    const loaded = await this.#parts.store.load({
      key,
      ...(names !== undefined && { fields: names }),
    });
    if (loaded.outcome === "not_found") throw notFound(key);
    if (loaded.outcome === "tombstone") throw gone(key);
    return decodeExecution(loaded.state, loaded.data);
  }

  /** Newest first, over all partitions. */
  async list(request: ListExecutions): Promise<Page<Listing>> {
    const { store } = this.#parts;
    const index = chooseIndex(request);
    let after = firstCursor(request);
    const items: Listing[] = [];
    for (let scanned = 0; scanned < scannedMax; ) {
      const parts = await Promise.all(
        Array.from({ length: store.partitions }, (_, partition) =>
          store.list({
            partition,
            ...index,
            limit: request.limit,
            ...(after !== undefined && { after }),
          }),
        ),
      );
      // Beyond the limit a partition that was cut short may have something newer.
      const rows = parts.flat().sort(newestFirst).slice(0, request.limit);
      for (const row of rows) {
        if (request.startedAfter !== undefined && row.startedAt <= request.startedAfter) {
          return { items };
        }
        after = { startedAt: row.startedAt, id: row.id };
        if (matches(row, request)) items.push(row);
        if (items.length === request.limit) return { items, cursor: encodeCursor(after) };
      }
      if (rows.length < request.limit) return { items };
      scanned += rows.length;
    }
    return after === undefined ? { items } : { items, cursor: encodeCursor(after) };
  }
}

function unfinished({ id, status, failure }: ExecutionState): ExecutionResult {
  return { id, status, ...(failure !== undefined && { failure }) };
}

export function resultOf(plan: Plan, execution: Execution): ExecutionResult {
  const result = finalResult(plan, execution);
  return { ...unfinished(execution.state), ...(result !== undefined && { result }) };
}

/** Whether all that the result is made of has been loaded. */
export function hasResult(plan: Plan, execution: Execution): boolean {
  if (execution.state.status !== "COMPLETED") return true;
  return resultFields(plan, execution.records).every((name) => execution.data.has(name));
}

function finalResult(plan: Plan, execution: Execution): JsonText | undefined {
  if (execution.state.status !== "COMPLETED") return undefined;
  return resultText(plan, execution.records, (name) => execution.data.get(name));
}

function outputsOf(plan: Plan, execution: Execution): Map<string, JsonText> {
  const outputs = new Map<string, JsonText>();
  for (const { key } of plan.actions) {
    const text = execution.data.get(fields.output(key));
    if (text !== undefined) outputs.set(key, text);
  }
  return outputs;
}

const untouched: ActionRecord = { status: "PENDING" };

function actionView(
  execution: Execution,
  action: PlanAction,
  { holdings, beats }: { readonly holdings: Holdings | undefined; readonly beats: Beats },
): ActionView {
  const record = execution.records[action.index] ?? untouched;
  const task = openTask(execution, action, record, holdings);
  const ended = record.status === "COMPLETED" || record.route !== undefined;
  const { skippedBy, route, startedAt, endedAt, dueAt, events, failure } = record;
  return {
    id: action.id,
    key: action.key,
    type: action.kind === "user" ? "user" : "system",
    name: action.kind === "user" ? action.name : action.kind,
    status: task?.state === "leased" ? "RUNNING" : record.status,
    ...(skippedBy !== undefined && { skippedBy }),
    ...(ended && { route: route ?? "default" }),
    ...(startedAt !== undefined && { startedAt }),
    ...(endedAt !== undefined && { endedAt }),
    ...(dueAt !== undefined && { dueAt }),
    ...(events !== undefined && { events }),
    ...(failure !== undefined && { failure }),
    attempts: [...finishedAttempts(record), ...openAttempt(record, task, beats)],
  };
}

function finishedAttempts(record: ActionRecord): ActionView["attempts"] {
  return (record.attempts ?? []).map(({ nonce: _secret, ...attempt }) => attempt);
}

function openAttempt(
  record: ActionRecord,
  task: TaskView | undefined,
  beats: Beats,
): ActionView["attempts"] {
  if (task?.state !== "leased") return [];
  const beat = task.token === undefined ? undefined : beats.of(task.token);
  const startedAt = task.token === undefined ? undefined : parseToken(task.token)?.leasedAt;
  return [
    {
      number: record.attempt ?? 1,
      handout: record.handout ?? 0,
      ...(task.workerId !== undefined && { worker: task.workerId }),
      ...(startedAt !== undefined && { startedAt }),
      ...(task.leaseUntil !== undefined && { leaseUntil: task.leaseUntil }),
      ...(beat !== undefined && { heartbeatAt: beat.at }),
      ...(beat?.progress !== undefined && { progress: beat.progress }),
    },
  ];
}

function openTask(
  { state }: Execution,
  action: PlanAction,
  record: ActionRecord,
  holdings: Holdings | undefined,
): TaskView | undefined {
  if (record.status !== "SCHEDULED" || record.handout === undefined) return undefined;
  const taskId = formatTaskId({
    executionId: state.id,
    run: state.run,
    handout: record.handout,
    actionKey: action.key,
  });
  return holdings?.tasks.find((task) => task.id === taskId);
}

// Lists

function chooseIndex(request: ListExecutions) {
  const { correlationId, workflow, status } = request;
  if (correlationId !== undefined) return { index: "correlationId", value: correlationId } as const;
  if (workflow !== undefined) return { index: "workflow", value: workflow } as const;
  if (status !== undefined) return { index: "status", value: status } as const;
  return { index: "all", value: "" } as const;
}

interface Cursor {
  readonly startedAt: number;
  readonly id: string;
}

function firstCursor(request: ListExecutions): Cursor | undefined {
  if (request.cursor !== undefined) return decodeCursor(request.cursor);
  if (request.startedBefore === undefined) return undefined;
  return { startedAt: request.startedBefore, id: "" };
}

function matches(row: Listing, request: ListExecutions): boolean {
  const { workflow, status, correlationId } = request;
  return (
    (workflow === undefined || row.workflow === workflow) &&
    (status === undefined || row.status === (status satisfies ExecutionStatus)) &&
    (correlationId === undefined || row.correlationId === correlationId)
  );
}

function newestFirst(a: Listing, b: Listing): number {
  return b.startedAt - a.startedAt || (a.id < b.id ? 1 : -1);
}

function encodeCursor(cursor: Cursor): string {
  return Buffer.from(JSON.stringify([cursor.startedAt, cursor.id])).toString("base64url");
}

/** Undefined for text that is no cursor: the edge refuses it before. */
export function decodeCursor(text: string): Cursor | undefined {
  try {
    const [startedAt, id] = JSON.parse(Buffer.from(text, "base64url").toString());
    return typeof startedAt === "number" && typeof id === "string" ? { startedAt, id } : undefined;
  } catch {
    return undefined;
  }
}
