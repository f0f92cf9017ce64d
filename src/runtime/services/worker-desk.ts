/** The operations of workers: polls, results, heartbeats and releases. */
import type { Clock } from "../../base/clock.ts";
import { OrchyError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import { parseTaskId, parseToken, queueKey } from "../../model/ids.ts";
import { readHeader } from "../../model/task-header.ts";
import type { LeasedTask, Store } from "../../store/store.ts";
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
  PollRequest,
  ResultAnswerType,
  ResultSent,
  WorkersView,
} from "../shared/orchestrator.ts";
import type { PolledTask } from "../shared/polled-task.ts";
import { findHandout } from "./handouts.ts";
import { Leases, leaseOf } from "./leases.ts";
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

export class WorkerDesk {
  readonly #options: Options;
  readonly #workers = new WorkerList();
  readonly #leases: Leases;
  readonly #takers: Takers;

  constructor(options: Options) {
    this.#options = options;
    this.#leases = new Leases(options);
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
    const held = leaseOf(token, this.#options.store.partitions);
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

  /** Of a task that was claimed without a poll. */
  handOut(task: LeasedTask, workerId: string): PolledTask {
    const { cancellations, dispatcher } = this.#options;
    dispatcher.leased(task);
    cancellations.givenOut([task], workerId);
    return this.#handedOut(task);
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

  heartbeat(sent: readonly HeartbeatSent[]): ReturnType<Leases["heartbeat"]> {
    return this.#leases.heartbeat(sent);
  }

  release(tokens: readonly string[]): ReturnType<Leases["release"]> {
    return this.#leases.release(tokens);
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
