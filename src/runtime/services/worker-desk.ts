/** The operations of workers: polls, results, heartbeats and releases. */
import type { Clock } from "../../base/clock.ts";
import { OrchyError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import {
  type ExecutionKey,
  executionKey,
  parseTaskId,
  parseToken,
  queueKey,
} from "../../model/ids.ts";
import { readHeader } from "../../model/task-header.ts";
import type { ExtendAnswer, LeasedTask, Store } from "../../store/store.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import type { Plans } from "../catalogue/plans.ts";
import type { Beats } from "../dispatch/beats.ts";
import type { Cancellations } from "../dispatch/cancellations.ts";
import type { Dispatcher } from "../dispatch/dispatcher.ts";
import type { Poll } from "../dispatch/poll.ts";
import type { Uncarried } from "../dispatch/uncarried.ts";
import type { Unpolled } from "../dispatch/unpolled.ts";
import type { Driver } from "../driving/driver.ts";
import type { SubmitAnswer } from "../driving/mailbox.ts";
import type { Standstill } from "../peers/standstill.ts";
import type { Tracing } from "../reporting/tracing.ts";
import type { WorkerCount } from "../shared/explanation.ts";
import { logFault } from "../shared/faults.ts";
import type {
  HandoutResult,
  HeartbeatSent,
  PollAnswer,
  PolledTask,
  PollRequest,
  ResultAnswerType,
  ResultSent,
  WorkersView,
} from "../shared/orchestrator.ts";
import { inBatches } from "./batches.ts";
import { findHandout } from "./handouts.ts";
import { Takers } from "./takers.ts";
import { WorkerList } from "./worker-list.ts";

interface Options {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly dispatcher: Dispatcher;
  readonly driver: Driver;
  readonly plans: Plans;
  readonly metrics: Metrics;
  readonly beats: Beats;
  readonly unpolled: Unpolled;
  readonly uncarried: Uncarried;
  readonly cancellations: Cancellations;
  readonly tracing: Tracing | undefined;
  readonly standstill: Standstill;
}

interface TokenOf {
  readonly key: ExecutionKey;
  readonly taskId: string;
  readonly token: string;
}

export class WorkerDesk {
  readonly #options: Options;
  readonly #workers = new WorkerList();
  readonly #takers: Takers;

  constructor(options: Options) {
    this.#options = options;
    this.#takers = new Takers({ ...options, workers: this.#workers });
  }

  async poll(request: PollRequest): Promise<PollAnswer> {
    const { dispatcher, clock, cancellations } = this.#options;
    const { workerId, structOnly = false, isInner = false } = request;
    if (dispatcher.parked >= limits.parkedPollersMax && !isInner) {
      throw new OrchyError(
        "TOO_MANY",
        `${limits.parkedPollersMax} polls are waiting already; try again.`,
      );
    }
    const seen = this.#workers.seen(isInner ? "" : workerId, request, clock.now());
    const queues = queueKeys(request);
    this.#options.unpolled.polled(queues);
    this.#options.uncarried.polled(queues, structOnly);
    const poll = dispatcher.open({
      queues,
      tasksMax: request.maxTasks,
      workerId,
      isInner,
      waitMs: request.waitMs,
      heartbeatMs: silenceMsOf(request),
      structOnly,
    });
    const onAbort = () => poll.close();
    request.abort?.addEventListener("abort", onAbort);
    if (request.abort?.aborted) poll.close();
    try {
      const settling = this.#settleWith(poll, request.results);
      // What follows from the results has its place by now: the rest is claimed in the same commit.
      dispatcher.fill(poll);
      const results = await settling;
      dispatcher.fill(poll);
      poll.startWaiting();
      if (cancellations.isAny(workerId)) poll.hurry();
      const tasks = await poll.answered;
      if (request.abort?.aborted) {
        dispatcher.giveBack(tasks);
        return { tasks: [], results, draining: dispatcher.draining, cancelled: [] };
      }
      cancellations.givenOut(tasks, workerId);
      for (const { deadline } of tasks) seen.busyUntil = Math.max(seen.busyUntil, deadline);
      const polled = tasks.map((task) => this.#handedOut(task));
      const cancelled = cancellations.take(workerId);
      return { tasks: polled, results, draining: dispatcher.draining, cancelled };
    } finally {
      request.abort?.removeEventListener("abort", onAbort);
    }
  }

  async #settleWith(
    poll: Poll,
    results: readonly ResultSent[],
  ): Promise<readonly ResultAnswerType[]> {
    if (results.length === 0) return [];
    poll.awaitResults(results.length);
    const answers = await this.#settle(results, poll.workerId, poll);
    const allAccepted = answers.every((answer) => answer === "accepted" || answer === "duplicate");
    poll.resultsSettled({ allAccepted });
    return answers;
  }

  complete(results: readonly ResultSent[], workerId: string): Promise<ResultAnswerType[]> {
    return this.#settle(results, workerId, undefined);
  }

  /** Returns outcomes in the order of the results, when all are settled. */
  #settle(
    results: readonly ResultSent[],
    worker: string,
    origin: Poll | undefined,
  ): Promise<ResultAnswerType[]> {
    const answers = new Array<ResultAnswerType>(results.length);
    let open = results.length;
    return new Promise((resolve) => {
      if (open === 0) resolve(answers);
      for (const [index, result] of results.entries()) {
        this.#settleOne(result, { worker, origin }, (answer) => {
          answers[index] = answer;
          open -= 1;
          if (open === 0) resolve(answers);
        });
      }
    });
  }

  #settleOne(
    { token, outcome }: ResultSent,
    from: { readonly worker: string; readonly origin: Poll | undefined },
    settled: (answer: ResultAnswerType) => void,
  ): void {
    const held = this.#tokenOf(token);
    if (held === undefined) {
      settled(this.#settled("stale"));
      return;
    }
    const { key, taskId } = held;
    const leasedAt = parseToken(token)?.leasedAt;
    const { worker, origin } = from;
    this.#options.driver.post(key.id, {
      event: { type: "result", taskId, token, outcome, worker },
      origin,
      resolve: (answer) => {
        const answered = resultAnswer(answer);
        if (answered === "stale") this.#tellStale(key.id, taskId, worker);
        settled(this.#settled(answered, leasedAt));
      },
      reject: (error) => {
        // One result that could not be settled never spoils the others: its worker sends it again.
        logFault(this.#options.log, "a result could not be settled", error, { taskId });
        settled(this.#settled("retry"));
      },
    });
  }

  #tellStale(id: string, taskId: string, worker: string): void {
    const action = parseTaskId(taskId)?.actionKey;
    this.#options.log.info("a result arrived too late", { id, action, worker });
  }

  #handedOut(task: LeasedTask): PolledTask {
    const about = readHeader(task.header);
    const { offeredAt } = about;
    const waitedMs = offeredAt === undefined ? undefined : task.leasedAt - offeredAt;
    this.#options.metrics.taskHandedOut(waitedMs);
    const { tracing } = this.#options;
    if (tracing === undefined) return { ...task, about };
    return { ...task, about: { ...about, traceContext: tracing.ofTask(task, about) } };
  }

  #settled(answer: ResultAnswerType, leasedAt?: number): ResultAnswerType {
    const { metrics, clock } = this.#options;
    metrics.result(answer);
    if (answer === "accepted" && leasedAt !== undefined) metrics.taskRan(clock.now() - leasedAt);
    return answer;
  }

  async completeByHandout(result: HandoutResult): Promise<ResultAnswerType> {
    const found = await findHandout(this.#options.store, this.#options.plans, result);
    if (typeof found === "string") return this.#settled(found);
    const { outcome, workerId } = result;
    const [answer] = await this.#settle([{ token: found.token, outcome }], workerId, undefined);
    return answer!;
  }

  async heartbeat(
    sent: readonly HeartbeatSent[],
  ): Promise<readonly ("extended" | "stale" | "cancelled")[]> {
    const { store, clock, beats, standstill } = this.#options;
    const tokens = sent.map(({ token }) => token);
    const silences = new Map<string, Promise<number>>();
    const outcomes = await this.#byPartition(tokens, "stale", async (partition, leases) => {
      const silentMs = await Promise.all(leases.map((lease) => this.#silenceMs(lease, silences)));
      const extend = (): Promise<readonly ExtendAnswer[]> => {
        const now = clock.now();
        const asked = leases.map((lease, index) => ({ ...lease, until: now + silentMs[index]! }));
        const lateMs = standstill.lateMs();
        const request = { partition, leases: asked, now, lateMs };
        return standstill.ask(partition, () => store.extendLeases(request));
      };
      let answers = await extend();
      // That the store stood still may show in its answer only; a repeat changes nothing.
      const isLate = answers.some(({ outcome }) => outcome === "stale");
      if (isLate && standstill.lateMs() > 0) answers = await extend();
      return answers.map((answer) => answer.outcome);
    });
    for (const [index, { token, progress }] of sent.entries()) {
      if (outcomes[index] === "extended") beats.note(token, clock.now(), progress);
    }
    return outcomes;
  }

  /** How long its worker may be silent from now on: as long as from the start. */
  #silenceMs({ key, taskId }: TokenOf, known: Map<string, Promise<number>>): Promise<number> {
    const actionKey = parseTaskId(taskId)?.actionKey ?? "";
    const action = `${key.id}:${actionKey}`;
    const silence = known.get(action) ?? this.#readSilenceMs(key, actionKey, taskId);
    known.set(action, silence);
    return silence;
  }

  async #readSilenceMs(key: ExecutionKey, actionKey: string, taskId: string): Promise<number> {
    const { driver, log } = this.#options;
    const own = await driver.heartbeatMs(key, actionKey).catch((error) => {
      logFault(log, "the rules of a heartbeat could not be read", error, { taskId });
      return 0;
    });
    return own || limits.heartbeatSecondsDefault * 1000;
  }

  async release(tokens: readonly string[]): Promise<readonly ("released" | "stale")[]> {
    const { store, clock, dispatcher } = this.#options;
    return this.#byPartition(tokens, "stale", async (partition, tasks) => {
      const answers = await store.releaseTasks({ partition, tasks, now: clock.now() });
      if (answers.includes("released")) await dispatcher.refresh(partition);
      return answers;
    });
  }

  /** Few calls for each partition; text that is not a token is refused without the store. */
  async #byPartition<Answer>(
    tokens: readonly string[],
    unknown: Answer,
    ask: (partition: number, leases: TokenOf[]) => Promise<readonly Answer[]>,
  ): Promise<Answer[]> {
    const answers: Answer[] = tokens.map(() => unknown);
    const sent = tokens.flatMap((token, index) => {
      const lease = this.#tokenOf(token);
      return lease === undefined ? [] : [{ index, lease }];
    });
    sent.sort((one, other) => one.lease.key.partition - other.lease.key.partition);
    await inBatches(sent, this.#options.clock, (batch) => {
      const groups = Map.groupBy(batch, ({ lease }) => lease.key.partition);
      const asking = [...groups].map(async ([partition, group]) => {
        const leases = group.map(({ lease }) => lease);
        const found = await ask(partition, leases);
        for (const [place, { index }] of group.entries()) answers[index] = found[place] ?? unknown;
      });
      return Promise.all(asking);
    });
    return answers;
  }

  #tokenOf(token: string): TokenOf | undefined {
    const taskId = parseToken(token)?.taskId;
    const task = taskId === undefined ? undefined : parseTaskId(taskId);
    if (taskId === undefined || task === undefined) return undefined;
    return { key: executionKey(task.executionId, this.#options.store.partitions), taskId, token };
  }

  /** See Takers. */
  takerSeenAt(queue: string): number {
    return this.#takers.seenAt(queue);
  }

  /** See Takers. */
  countWorkers(queues: readonly string[]): ReadonlyMap<string, WorkerCount> {
    return this.#takers.count(queues);
  }

  workers(): WorkersView {
    return this.#workers.list(this.#options.clock.now());
  }
}

/** Longest silence of this worker about a task; 0: only the end of the attempt counts. */
function silenceMsOf({ heartbeats, leaseMs }: PollRequest): number {
  return leaseMs ?? (heartbeats ? limits.heartbeatSecondsDefault * 1000 : 0);
}

function queueKeys(request: PollRequest): string[] {
  const keys: string[] = [];
  for (const queue of request.queues) {
    for (const action of request.actions) keys.push(queueKey(queue, action));
  }
  return keys;
}

function resultAnswer(answer: SubmitAnswer): ResultAnswerType {
  return answer.type === "accepted" || answer.type === "duplicate" ? answer.type : "stale";
}
