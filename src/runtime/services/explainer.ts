/**
 * Why an execution or a queue is where it is: what the engine says that it waits for, joined with
 * the store's tasks, the workers that poll, and holds.
 */
import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import { type Wait, waitsOf } from "../../engine/waits.ts";
import type { PlanAction } from "../../language/kinds/table.ts";
import type { Plan } from "../../language/plan.ts";
import { type Execution, type ExecutionState, isOpen } from "../../model/execution.ts";
import { executionKey, parseQueueKey, parseTaskId, parseToken } from "../../model/ids.ts";
import type { Store, TaskView } from "../../store/store.ts";
import type { ActionRegistry } from "../catalogue/action-registry.ts";
import type { Plans } from "../catalogue/plans.ts";
import { loadExecution } from "../driving/load.ts";
import type { ExecutionExplanation, QueueExplanation, Reason } from "../shared/explanation.ts";
import { Gate } from "../shared/gate.ts";
import { gone, notFound } from "./executions.ts";
import type { Pollers } from "./pollers.ts";
import { kindOf, type QueueReports, queueSentence, readStats, reportOn } from "./queue-reports.ts";
import { sentenceOf } from "./reason-sentences.ts";
import { countsOf } from "./views.ts";

/** Queues of one explanation. */
const queuesExplainedMax = 1_000;

interface Options {
  readonly store: Store;
  readonly plans: Plans;
  readonly pollers: Pollers;
  readonly registry: Pick<ActionRegistry, "deliveredTo">;
}

type ActionWait = Extract<Wait, { readonly action: PlanAction }>;

interface Known {
  readonly plan: Plan;
  readonly execution: Execution;
  readonly tasks: ReadonlyMap<string, TaskView>;
  readonly queues: QueueReports;
}

export class Explainer {
  readonly #options: Options;
  /** Each reads all partitions, and may wait for other servers. */
  readonly #gate = new Gate(limits.readsAtOnceMax);

  constructor(options: Options) {
    this.#options = options;
  }

  execution(id: string, abort?: AbortSignal): Promise<ExecutionExplanation> {
    return this.#gate.pass(() => this.#execution(id), abort);
  }

  async #execution(id: string): Promise<ExecutionExplanation> {
    const { store, plans } = this.#options;
    const key = executionKey(id, store.partitions);
    // Before the state: a task that is missing then was settled before.
    const { tasks: held } = await store.holdings(key);
    const loaded = await loadExecution(store, key, []);
    if (loaded === "not-found") throw notFound(key);
    if (loaded === "gone") throw gone(key);
    const { execution } = loaded;
    const { state } = execution;
    const plan = await plans.of(state);
    const about = { id, workflow: state.workflow, version: state.version, status: state.status };
    if (!isOpen(state.status)) return { ...about, reasons: [asReason({ kind: "ended" }, state)] };
    const tasks = new Map(held.map((task) => [task.id, task]));
    const queued = new Set(held.flatMap(({ state, queue }) => (state === "queued" ? queue : [])));
    const queues = state.status === "PAUSED" ? new Map() : await this.#queues(queued);
    const known = { plan, execution, tasks, queues };
    const reasons = waitsOf(plan, execution).map((wait) => asReason(reasonOf(wait, known), state));
    return { ...about, ...defined({ timeoutAt: timeoutAtOf(state) }), reasons };
  }

  async #queues(queues: ReadonlySet<string>): Promise<QueueReports> {
    if (queues.size === 0) return new Map();
    const stats = await readStats(this.#options.store, queues);
    return (await reportOn(this.#options, stats, queuesExplainedMax)).reports;
  }

  queue(queue: string, abort?: AbortSignal): Promise<QueueExplanation> {
    return this.#gate.pass(() => this.#queue(queue), abort);
  }

  async #queue(name: string): Promise<QueueExplanation> {
    const { store } = this.#options;
    const before = await this.#claimable();
    const stats = await readStats(store, "all");
    const own = stats.filter(({ queue }) => parseQueueKey(queue).queue === name);
    // What is queued between two reads is no held task.
    const isHeld = own.some(({ queue, queued }) => queued > 0 && !before.has(queue));
    const after = isHeld ? await this.#claimable() : before;
    const { reports, leftOut } = await reportOn(this.#options, own, queuesExplainedMax);
    const actions = [...reports].map(([key, report]) => {
      const { queued, running } = report;
      if (queued === 0) {
        const sentence = `Nothing waits: ${running === 1 ? "its task is" : "its tasks are"} running.`;
        return { ...report, kind: "running" as const, sentence };
      }
      if (!before.has(key) && !after.has(key)) {
        const sentence = "All that waits belongs to paused executions. Resume them.";
        return { ...report, kind: "held" as const, sentence };
      }
      const kind = kindOf(report);
      return { ...report, kind, sentence: queueSentence(kind, report) };
    });
    return { queue: name, actions, leftOut };
  }

  async #claimable(): Promise<ReadonlySet<string>> {
    const { store } = this.#options;
    const partitions = Array.from({ length: store.partitions }, (_, partition) => partition);
    const read = await Promise.all(partitions.map((partition) => store.queueHints({ partition })));
    return new Set(read.flat());
  }
}

function timeoutAtOf({ timeoutAt, pausedMs, status }: ExecutionState): number | undefined {
  return timeoutAt === undefined || status === "PAUSED" ? undefined : timeoutAt + pausedMs;
}

type Bare = Omit<Reason, "sentence">;

function asReason(bare: Bare, state: ExecutionState): Reason {
  return { ...bare, sentence: sentenceOf(bare, state) };
}

function reasonOf(wait: Wait, known: Known): Bare {
  const { state } = known.execution;
  switch (wait.kind) {
    case "pause":
      return { kind: "paused", ...defined({ since: state.pausedAt }) };
    case "continue":
      return { kind: "continuing" };
    case "join":
      return { kind: "join", action: wait.action.id, waitsFor: unfinishedBefore(wait, known) };
    case "task":
      return taskReason(wait, known);
    case "items":
      return itemsReason(wait, known);
    case "backoff": {
      const last = wait.record.attempts?.at(-1);
      const { failure, number, endedAt } = last ?? {};
      const { dueAt } = wait.record;
      return {
        kind: "backoff",
        action: wait.action.id,
        ...defined({ since: endedAt, until: dueAt, attempt: number, failure }),
      };
    }
    default: {
      const { startedAt, dueAt, events, child } = wait.record;
      return {
        kind: wait.kind,
        action: wait.action.id,
        ...defined({ since: startedAt, until: dueAt, events, child }),
      };
    }
  }
}

function taskReason(wait: ActionWait, { tasks, queues, execution }: Known): Bare {
  const { action, record } = wait;
  const about = { action: action.id, ...defined({ attempt: record.attempt }) };
  const task = wait.task === undefined ? undefined : tasks.get(wait.task);
  // Read a moment earlier than the state, the store did not have it yet.
  if (task === undefined) return { kind: "continuing", action: action.id };
  if (task.state === "leased") {
    const { workerId, leaseUntil, token } = task;
    const since = token === undefined ? undefined : parseToken(token)?.leasedAt;
    const worker = workerId === "" ? undefined : workerId;
    return { kind: "running", ...about, ...defined({ since, until: leaseUntil, worker }) };
  }
  const waiting = { ...about, ...defined({ since: record.startedAt }) };
  if (execution.state.status === "PAUSED") return { kind: "held", ...waiting };
  const report = queues.get(task.queue);
  // Taken between two reads.
  if (report === undefined) return { kind: "continuing", action: action.id };
  return { kind: kindOf(report), ...waiting, queue: report };
}

/** With the queue that its first queued item waits in. */
function itemsReason({ action, record }: ActionWait, { tasks, queues }: Known): Bare {
  const isQueued = ({ id, state }: TaskView) =>
    state === "queued" && parseTaskId(id)?.actionKey === action.key;
  const first = [...tasks.values()].find(isQueued);
  const queue = first === undefined ? undefined : queues.get(first.queue);
  return {
    kind: "items",
    action: action.id,
    ...defined({
      since: record.startedAt,
      items: record.items && countsOf(record.items),
      queue,
    }),
  };
}

/** Actions that lead to it and have not ended. */
function unfinishedBefore({ action }: ActionWait, { plan, execution }: Known): (number | string)[] {
  return plan.actions
    .filter(({ index, targets }) => {
      if (!targets.includes(action.index)) return false;
      return execution.records[index]?.endedAt === undefined;
    })
    .map(({ id }) => id);
}
