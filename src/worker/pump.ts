/**
 * Moves tasks in and results out: a few parked polls that carry results along, and result calls
 * that do not wait while the polls are parked. What came up in one turn of the event loop goes out
 * together.
 */
import { create } from "@bufbuild/protobuf";
import { pause, systemClock } from "../base/clock.ts";
import {
  CompleteRequestSchema,
  PayloadFormat,
  PollRequestSchema,
  type PollResponse,
  ReleaseRequestSchema,
  type ResultAnswer,
  type Task,
  WorkerService,
} from "../gen/orchy/v1/worker_pb.ts";
import { backoffMs } from "./backoff.ts";
import type { Heartbeats } from "./heartbeats.ts";
import type { Link, Logger, Session } from "./link.ts";
import type { Outbox, PendingResult } from "./outbox.ts";
import type { Ask, Slots } from "./slots.ts";
import type { Tasks } from "./tasks.ts";
import { CallError, finalCodes } from "./transport.ts";

interface PumpOptions {
  readonly link: Link;
  readonly outbox: Outbox;
  readonly slots: Slots;
  readonly tasks: Tasks;
  readonly heartbeats: Heartbeats;
  readonly logger: Logger;
  readonly workerId: string;
  readonly queues: readonly string[];
  /** Parked polls in the usual case. */
  readonly pollers: number;
}

const pollWaitSeconds = 20;
const callTimeoutMs = 10_000;
/** Actions that were full when the others parked get separate polls, up to this many in all. */
const pollsMax = 32;
const resultCallsMax = 2;
const allResults = Number.POSITIVE_INFINITY;
/** An empty answer sooner than this has not waited: the next poll pauses. */
const parkedMsMin = 50;
const pauseMs = 100;

export class Pump {
  private readonly options: PumpOptions;
  private readonly parked = new AbortController();
  private polling = false;
  private polls = 0;
  private resultCalls = 0;
  private scheduled = false;
  private ended = false;
  /** In a row, of a kind that trying elsewhere does not change. */
  private refusals = 0;
  private readonly underWay = new Set<Promise<void>>();
  private pollsEnded: (() => void) | undefined;

  constructor(options: PumpOptions) {
    this.options = options;
  }

  start(): void {
    this.polling = true;
    this.schedule();
  }

  /** Looks for something to send once this turn of the event loop is over. */
  schedule(): void {
    if (this.scheduled || this.ended) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.send();
    });
  }

  /** No new tasks from here on; results still go out. */
  async stopPolling(graceMs: number): Promise<void> {
    this.polling = false;
    // A poll under load returns at once: cutting it then would lose the tasks on their way.
    if (this.polls > 0) {
      const ended = new Promise<void>((resolve) => {
        this.pollsEnded = resolve;
      });
      await Promise.race([ended, pause(graceMs, systemClock)]);
    }
    this.parked.abort();
  }

  /** Sends nothing from here on: the link is about to close, so each try would fail at once. */
  end(): void {
    this.ended = true;
  }

  /** Resolves when no call is under way. */
  async settled(): Promise<void> {
    while (this.underWay.size > 0) await Promise.all(this.underWay);
  }

  /** Best effort: what is not given back comes back when its lease lapses. */
  async release(tokens: readonly string[]): Promise<void> {
    const { link, heartbeats, workerId, logger } = this.options;
    if (tokens.length === 0) return;
    heartbeats.drop(tokens);
    const request = create(ReleaseRequestSchema, { tokens: [...tokens], workerId });
    try {
      const session = await link.ready();
      await session.call(WorkerService.method.release, request, { timeoutMs: callTimeoutMs });
    } catch (error) {
      logger.warn(`${tokens.length} tasks were not given back: ${(error as Error).message}`);
    }
  }

  private send(): void {
    if (this.ended) return;
    const { slots, outbox, pollers } = this.options;
    while (this.polling && this.polls < pollsMax) {
      if (this.polls >= pollers && !slots.wanting) break;
      const ask = slots.ask(Math.max(1, pollers - this.polls));
      if (ask === undefined) break;
      this.polls += 1;
      this.track(this.poll(ask, pollWaitSeconds), () => {
        this.polls -= 1;
        if (this.polls === 0) this.pollsEnded?.();
      });
    }
    while (outbox.ready > 0 && this.resultCalls < resultCallsMax) {
      const ask = this.polling ? slots.ask(1) : undefined;
      this.resultCalls += 1;
      // The last call takes all: no result waits until another one is free.
      const resultsMax = this.resultCalls === resultCallsMax ? allResults : undefined;
      const call = ask === undefined ? this.complete() : this.poll(ask, 0, resultsMax);
      this.track(call, () => {
        this.resultCalls -= 1;
      });
      // Without a session the results stay where they are until one is open.
      if (this.options.link.session === undefined) break;
    }
  }

  private track(call: Promise<void>, onEnd: () => void): void {
    const ended = call.then(() => {
      this.underWay.delete(ended);
      onEnd();
      this.schedule();
    });
    this.underWay.add(ended);
  }

  /**
   * One poll, with results that are ready; usually no more than it has room for tasks, as the tasks
   * that follow from them come with its answer. Never throws.
   */
  private async poll(ask: Ask, waitSeconds: number, resultsMax = ask.maxTasks): Promise<void> {
    const { slots, queues, workerId } = this.options;
    slots.reserve(ask);
    const startedMs = performance.now();
    let sent = 0;
    let answer: { session: Session; response: PollResponse } | undefined;
    try {
      answer = await this.exchange(resultsMax, (session, batch) => {
        sent = batch.length;
        const request = create(PollRequestSchema, {
          actions: [...ask.actions],
          queues: [...queues],
          maxTasks: ask.maxTasks,
          waitSeconds,
          workerId,
          results: batch.map(({ result }) => result),
          payloadFormat: PayloadFormat.JSON,
          heartbeats: true,
        });
        const timeoutMs = waitSeconds * 1000 + callTimeoutMs;
        const abort = waitSeconds > 0 ? this.parked.signal : undefined;
        return session.call(WorkerService.method.poll, request, { timeoutMs, abort });
      });
    } finally {
      slots.unreserve(ask);
    }
    if (answer === undefined) return;
    const { session, response } = answer;
    for (const token of response.cancelled) this.options.heartbeats.cancelled(token);
    this.receive(response.tasks, session);
    if (response.draining) this.options.link.draining(session);
    const empty = response.tasks.length + response.cancelled.length + sent === 0 && waitSeconds > 0;
    if (empty && performance.now() - startedMs < parkedMsMin) {
      await pause(pauseMs, systemClock, this.parked.signal);
    }
  }

  /** Results alone; never throws. */
  private async complete(): Promise<void> {
    const { workerId } = this.options;
    await this.exchange(allResults, async (session, batch) => {
      const results = batch.map(({ result }) => result);
      const request = create(CompleteRequestSchema, { results, workerId });
      return session.call(WorkerService.method.complete, request, { timeoutMs: callTimeoutMs });
    });
  }

  /** Takes results along and settles them with what comes back; undefined after a failure. */
  private async exchange<Response extends { readonly results: readonly ResultAnswer[] }>(
    resultsMax: number,
    call: (session: Session, batch: readonly PendingResult[]) => Promise<Response>,
  ): Promise<{ session: Session; response: Response } | undefined> {
    const { link, outbox } = this.options;
    let session: Session | undefined;
    let batch: PendingResult[] = [];
    try {
      session = link.session ?? (await link.ready());
      batch = outbox.take(resultsMax);
      const response = await call(session, batch);
      link.succeeded(session);
      this.refusals = 0;
      outbox.settle(batch, response.results);
      return { session, response };
    } catch (error) {
      outbox.giveBack(batch);
      await this.afterFailure(session, error);
      return undefined;
    }
  }

  /** The link pauses before its next session; what no other session changes pauses here. */
  private async afterFailure(session: Session | undefined, error: unknown): Promise<void> {
    const { link, logger } = this.options;
    if (session !== undefined) link.failed(session, error);
    if (!(error instanceof CallError) || !finalCodes.has(error.code)) return;
    this.refusals += 1;
    logger.error(`The server refuses (${error.code}): ${error.message}`);
    await pause(backoffMs(this.refusals), systemClock, this.parked.signal);
  }

  private receive(received: readonly Task[], session: Session): void {
    const { slots, heartbeats, tasks } = this.options;
    if (received.length === 0) return;
    const kept = this.polling ? received.filter(({ action }) => slots.has(action)) : [];
    if (kept.length < received.length) {
      const refused = received.filter((task) => !kept.includes(task));
      this.track(this.release(refused.map(({ token }) => token)), () => {});
    }
    // Before the handlers: one of them may keep this thread busy from its first line on.
    heartbeats.add(
      kept.map(({ token, heartbeatMs, deadlineMs }) => ({
        token,
        heartbeatMs: Number(heartbeatMs),
        deadlineMs: Number(deadlineMs) - session.clockOffsetMs,
      })),
    );
    for (const task of kept) {
      slots.enter(task.action);
      void tasks.run(task).then(() => {
        slots.leave(task.action);
        this.schedule();
      });
    }
  }
}
