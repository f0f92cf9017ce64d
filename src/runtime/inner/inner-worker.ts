/**
 * Actions that servers run themselves, as workers do: tasks of the queue `orchy`, which no other
 * worker may poll. So they have retries, timeouts, leases, backpressure and history from what exists,
 * and the engine knows nothing of what they do.
 */
import { type Clock, pause, within } from "../../base/clock.ts";
import { limits } from "../../base/limits.ts";
import type { TaskOutcome } from "../../model/event.ts";
import { innerQueue } from "../../model/names.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { WorkerDesk } from "../services/worker-desk.ts";
import { logFault } from "../shared/faults.ts";
import type { PolledTask } from "../shared/polled-task.ts";

/** Time for which a poll of this worker waits. */
const innerPollMs = 20_000;
/** Pause after a fault of the store. */
const innerRestMs = 1_000;
/** Attempts to settle a result; after them the lease of the task ends. */
const innerSettleTries = 10;
/** Shortest time between two heartbeats, for actions with a short `heartbeatSeconds`. */
const innerBeatMsMin = 100;

/** Makes one attempt. It must not throw; once the signal is aborted, what it returns is not needed. */
export type InnerAction = (task: PolledTask, signal: AbortSignal) => Promise<TaskOutcome>;

interface InnerWorkerOptions {
  readonly desk: Pick<WorkerDesk, "poll" | "complete" | "heartbeat" | "release">;
  readonly clock: Clock;
  readonly log: Logger;
  readonly workerId: string;
  /** By the kinds of the actions. */
  readonly actions: ReadonlyMap<string, InnerAction>;
}

interface Running {
  readonly abort: AbortController;
  readonly done: Promise<void>;
  /** A third of how long the worker may be silent about it. */
  readonly beatMs: number;
}

export class InnerWorker {
  readonly #options: InnerWorkerOptions;
  readonly #running = new Map<string, Running>();
  readonly #stopping = new AbortController();
  #bytes = 0;
  #loop: Promise<void> | undefined;
  /** Calls back once when a task has ended. */
  #onEnd = () => {};
  #cancelBeat = () => {};
  #beatMs = Number.POSITIVE_INFINITY;
  #stopped = false;

  constructor(options: InnerWorkerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#loop = this.#run();
    this.#beatLater();
  }

  /** Takes no more tasks; those that run may end, and after `ms` the rest goes back to the queue. */
  async stop(ms: number): Promise<void> {
    this.#stopping.abort();
    const ended = () => Promise.allSettled([...this.#running.values()].map(({ done }) => done));
    // What the last poll has brought runs, too.
    const drained = Promise.resolve(this.#loop).then(ended);
    await within(ms, drained, this.#options.clock);
    this.#stopped = true;
    this.#cancelBeat();
    const left = [...this.#running.keys()];
    for (const { abort } of this.#running.values()) abort.abort();
    if (left.length === 0) return;
    await this.#options.desk.release(left).catch((error) => {
      logFault(this.#options.log, "tasks of the server could not be given back", error, {});
    });
  }

  async #run(): Promise<void> {
    const { log, clock } = this.#options;
    while (!this.#stopping.signal.aborted) {
      const free = limits.innerTasksMax - this.#running.size;
      if (free <= 0 || this.#bytes >= limits.innerBytesMax) {
        await new Promise<void>((resolve) => {
          this.#onEnd = resolve;
        });
        continue;
      }
      try {
        const { tasks, cancelled, draining } = await this.#poll(free);
        for (const token of cancelled) this.#running.get(token)?.abort.abort();
        for (const task of tasks) this.#begin(task);
        if (draining) return;
      } catch (error) {
        logFault(log, "the server could not poll for its own tasks", error, {});
        await pause(innerRestMs, clock);
      }
    }
  }

  #poll(maxTasks: number) {
    const { desk, actions, workerId } = this.#options;
    return desk.poll({
      actions: [...actions.keys()],
      queues: [innerQueue],
      maxTasks,
      waitMs: innerPollMs,
      workerId,
      heartbeats: true,
      isInner: true,
      results: [],
      abort: this.#stopping.signal,
    });
  }

  #begin(task: PolledTask): void {
    const { token } = task;
    const abort = new AbortController();
    const bytes = task.parameters.length + limits.httpResponseBytesDefault;
    this.#bytes += bytes;
    const done = this.#attempt(task, abort.signal).finally(() => {
      this.#running.delete(token);
      this.#bytes -= bytes;
      this.#onEnd();
    });
    const beatMs = Math.ceil((task.leaseUntil - task.leasedAt) / 3);
    this.#running.set(token, { abort, done, beatMs });
    if (beatMs < this.#beatMs) this.#beatLater();
  }

  async #attempt(task: PolledTask, signal: AbortSignal): Promise<void> {
    const { actions, clock } = this.#options;
    const timeout = new AbortController();
    const cancel = clock.after(Math.max(0, task.deadline - clock.now()), () => timeout.abort());
    try {
      const run = actions.get(task.about.name)!;
      const outcome = await run(task, AbortSignal.any([signal, timeout.signal]));
      // After the deadline the lease ends the attempt, as with every worker.
      if (!signal.aborted && !timeout.signal.aborted) await this.#settle(task, outcome, signal);
    } finally {
      cancel();
    }
  }

  async #settle({ token, about }: PolledTask, outcome: TaskOutcome, signal: AbortSignal) {
    const { desk, clock, log, workerId } = this.#options;
    for (let tries = 1; tries <= innerSettleTries && !signal.aborted; tries++) {
      const answer = await desk.complete([{ token, outcome }], workerId).catch((error) => {
        logFault(log, "a result could not be settled", error, { action: about.actionKey });
        return ["retry"];
      });
      if (answer[0] !== "retry") return;
      await pause(innerRestMs, clock);
    }
  }

  #beatLater(): void {
    this.#cancelBeat();
    if (this.#stopped) return;
    const asked = [...this.#running.values()].map(({ beatMs }) => beatMs);
    this.#beatMs = Math.max(innerBeatMsMin, Math.min(limits.innerBeatMs, ...asked));
    this.#cancelBeat = this.#options.clock.after(this.#beatMs, () => {
      void this.#beat().finally(() => this.#beatLater());
    });
  }

  async #beat(): Promise<void> {
    const tokens = [...this.#running.keys()];
    if (tokens.length === 0) return;
    const { desk, log } = this.#options;
    try {
      const outcomes = await desk.heartbeat(tokens.map((token) => ({ token })));
      for (const [index, token] of tokens.entries()) {
        if (outcomes[index] !== "extended") this.#running.get(token)?.abort.abort();
      }
    } catch (error) {
      logFault(log, "leases of the server's own tasks could not be extended", error, {});
    }
  }
}
