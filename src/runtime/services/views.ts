/** Executions as people read them: put together from state, data and what the store holds. */

import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import { nameCauses } from "../../engine/decision/edges.ts";
import { isOneField, resultFields } from "../../engine/decision/result.ts";
import type { PlanAction } from "../../language/kinds/table.ts";
import type { Plan } from "../../language/plan.ts";
import type {
  ActionRecord,
  ActionRecords,
  Execution,
  ExecutionState,
  MapProgress,
} from "../../model/execution.ts";
import { hasOutput, isOpen, runOfIds } from "../../model/execution.ts";
import { executionKey, fields, formatTaskId, isJsonQueueKey, parseToken } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import type { Holdings, Store, TaskView } from "../../store/store.ts";
import type { Plans } from "../catalogue/plans.ts";
import type { Beats } from "../dispatch/beats.ts";
import { loadExecution } from "../driving/load.ts";
import { Gate } from "../shared/gate.ts";
import { listingOf } from "../shared/listing-of.ts";
import type { ActionView, ExecutionResult, ExecutionView } from "../shared/orchestrator.ts";
import { DataReader, type FieldBatch } from "./data-reader.ts";
import { gone, notFound } from "./executions.ts";

interface Options {
  readonly store: Store;
  readonly plans: Plans;
  readonly beats: Beats;
  readonly isUnpolled: (queue: string) => boolean;
}

export class Views {
  readonly #options: Options;
  /** Large executions read together would otherwise stop everything else for as long. */
  readonly #gate = new Gate(limits.readsAtOnceMax);

  constructor(options: Options) {
    this.#options = options;
  }

  async execution(id: string, abort?: AbortSignal): Promise<ExecutionView> {
    const { store, plans, beats, isUnpolled } = this.#options;
    const execution = await this.#gate.pass(() => this.#load(id, [fields.input]), abort);
    const { state, records } = execution;
    const plan = await plans.of(state);
    const holdings = isOpen(state.status)
      ? await store.holdings(executionKey(id, store.partitions))
      : undefined;
    const reader = this.#reader(execution, abort);
    const result = state.status === "COMPLETED" ? resultPieces(plan, records, reader) : undefined;
    return {
      ...listingOf(execution),
      run: state.run,
      ...defined({
        pausedAt: state.pausedAt,
        failure: state.failure,
        cancelReason: state.cancelReason,
        parentLink: state.parent,
      }),
      actions: plan.actions.map((action) =>
        actionView(execution, action, { plan, holdings, beats, isUnpolled }),
      ),
      input: () => oneField(reader, fields.input),
      outputs: () => outputsOf(plan, records, reader),
      ...defined({ result }),
      bufferedSignals: state.signals.map((signal) => signal.event),
    };
  }

  /** All that it takes to know that it is open is its state. */
  async result(id: string, abort?: AbortSignal): Promise<ExecutionResult> {
    const execution = await this.#load(id, []);
    const { state } = execution;
    if (state.status !== "COMPLETED") return unfinished(state);
    const plan = await this.#options.plans.of(state);
    return resultOf(plan, execution, this.#reader(execution, abort));
  }

  #reader({ state, data }: Execution, abort: AbortSignal | undefined): DataReader {
    const { store } = this.#options;
    const key = executionKey(state.id, store.partitions);
    return new DataReader({ store, key, gate: this.#gate, abort }, data);
  }

  async #load(id: string, names: readonly string[]): Promise<Execution> {
    const { store } = this.#options;
    const key = executionKey(id, store.partitions);
    const loaded = await loadExecution(store, key, names);
    if (loaded === "not-found") throw notFound(key);
    if (loaded === "gone") throw gone(key);
    return loaded.execution;
  }
}

function unfinished({ id, status, failure }: ExecutionState): ExecutionResult {
  return { id, status, ...defined({ failure }) };
}

/** What can read the fields of an execution's data: the store, or one that is in memory. */
interface FieldReader {
  read(names: readonly string[]): AsyncIterable<FieldBatch>;
}

/** Its text where it is one field, so that an error still has its status; otherwise its pieces. */
async function resultOf(
  plan: Plan,
  { state, records }: Pick<Execution, "state" | "records">,
  reader: FieldReader,
): Promise<ExecutionResult> {
  if (state.status !== "COMPLETED") return unfinished(state);
  const names = resultFields(plan, records);
  const pieces = resultPieces(plan, records, reader);
  if (!isOneField(names)) return { ...unfinished(state), result: pieces };
  let result = "";
  for await (const piece of pieces) result += piece;
  return { ...unfinished(state), result };
}

/**
 * The same for an execution that is in memory, with all that its result is made of, or undefined.
 */
export function resultInMemory(plan: Plan, execution: Execution): ExecutionResult | undefined {
  const { state, records, data } = execution;
  if (state.status !== "COMPLETED") return unfinished(state);
  const names = resultFields(plan, records);
  if (!names.every((name) => data.has(name))) return undefined;
  if (isOneField(names)) return { ...unfinished(state), result: data.get(names[0]!)! };
  const batches = names.map((name): FieldBatch => [[name, data.get(name)]]);
  const reader: FieldReader = {
    async *read() {
      yield* batches;
    },
  };
  return { ...unfinished(state), result: resultPieces(plan, records, reader) };
}

async function* resultPieces(
  plan: Plan,
  records: ActionRecords,
  reader: FieldReader,
): AsyncGenerator<JsonText> {
  const names = resultFields(plan, records);
  if (names.length === 0) yield "null";
  else if (isOneField(names)) yield* oneField(reader, names[0]!);
  else {
    let separator = "{";
    for await (const batch of reader.read(names)) {
      let piece = "";
      for (const [name, text] of batch) {
        piece += `${separator}"${actionKeyOf(name)}":${text ?? "null"}`;
        separator = ",";
      }
      yield piece;
    }
    yield "}";
  }
}

async function* oneField(reader: FieldReader, name: string): AsyncGenerator<JsonText> {
  for await (const [[, text] = []] of reader.read([name])) yield text ?? "null";
}

async function* outputsOf(
  plan: Plan,
  records: ActionRecords,
  reader: FieldReader,
): AsyncGenerator<FieldBatch> {
  const ended = plan.actions.filter(({ index }) => hasOutput(records[index]));
  for await (const batch of reader.read(ended.map(({ key }) => fields.output(key)))) {
    yield batch.map(([name, text]) => [actionKeyOf(name), text] as const);
  }
}

const outputPrefix = fields.output("");

function actionKeyOf(outputField: string): string {
  return outputField.slice(outputPrefix.length);
}

const untouched: ActionRecord = { status: "PENDING" };

interface ViewOptions extends Pick<Options, "beats" | "isUnpolled"> {
  readonly plan: Plan;
  readonly holdings: Holdings | undefined;
}

function actionView(
  execution: Execution,
  action: PlanAction,
  { plan, holdings, beats, isUnpolled }: ViewOptions,
): ActionView {
  const record = execution.records[action.index] ?? untouched;
  const task = openTask(execution, action, record, holdings);
  const ended = hasOutput(record);
  const { skippedBy, causes, route, startedAt, endedAt, dueAt, events, child, rounds, failure } =
    record;
  const { items } = record;
  return {
    id: action.id,
    key: action.key,
    type: action.type,
    name: action.name,
    status: task?.state === "leased" ? "RUNNING" : record.status,
    ...(task?.state === "queued" && waitingView(task.queue, isUnpolled)),
    ...defined({
      skippedBy,
      causes: causes && nameCauses(plan.actions, causes).causes,
      route: ended ? (route ?? "default") : undefined,
      startedAt,
      endedAt,
      dueAt,
      events,
      child,
      rounds,
      failure,
      items: items && countsOf(items),
    }),
    attempts: [...finishedAttempts(record), ...openAttempt(record, task, beats)],
  };
}

export function countsOf({ count, open, completed, failed }: MapProgress): ActionView["items"] {
  return { count, open, completed, failed };
}

function waitingView(
  queue: string,
  isUnpolled: Options["isUnpolled"],
): Pick<ActionView, "unpolled" | "waitingFor"> {
  return defined({
    unpolled: isUnpolled(queue) || undefined,
    waitingFor: isJsonQueueKey(queue) ? ("json" as const) : undefined,
  });
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
      ...defined({
        worker: task.workerId,
        startedAt,
        leaseUntil: task.leaseUntil,
        heartbeatAt: beat?.at,
        progress: beat?.progress,
      }),
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
    run: runOfIds(state),
    handout: record.handout,
    actionKey: action.key,
  });
  return holdings?.tasks.find((task) => task.id === taskId);
}
