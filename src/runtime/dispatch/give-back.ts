/**
 * Leases without a holder go back to their queues at once, no attempt burnt; at last they lapse.
 */
import type { Clock } from "../../base/clock.ts";
import {
  type ClaimTaskAnswer,
  type ClaimTaskRequest,
  type ClaimTasksAnswer,
  type ClaimTasksRequest,
  faultOutcome,
  type LeasedTask,
  type Store,
} from "../../store/store.ts";
import type { Logger } from "../../telemetry/log.ts";
import { logFault } from "../shared/faults.ts";

/** How often, and after which pauses, the release of such a lease is tried. */
const triesMax = 60;
const retryMs = 1_000;

interface GiveBackOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  /** A task is in its queue again. */
  readonly onReleased: (task: LeasedTask) => void;
}

export class GiveBack {
  readonly #options: GiveBackOptions;

  constructor(options: GiveBackOptions) {
    this.#options = options;
  }

  task(task: LeasedTask, tries = 0): void {
    const { store, clock, log, onReleased } = this.#options;
    const { key, id, token, leaseUntil } = task;
    const { partition } = key;
    store
      .releaseTasks({ partition, tasks: [{ key, taskId: id, token }], now: clock.now() })
      .then(([answer]) => {
        if (answer === "released") onReleased(task);
      })
      .catch((error) => {
        logFault(log, "a task could not be given back", error, { id });
        // In the end its lease lapses by itself.
        if (tries >= triesMax || clock.now() >= leaseUntil) return;
        clock.after(retryMs, () => this.task(task, tries + 1));
      });
  }

  /** By ticket. After an unknown outcome the same claim finds what it has leased. */
  async claimTask(request: ClaimTaskRequest): Promise<ClaimTaskAnswer> {
    const { store, clock } = this.#options;
    try {
      return await store.claimTask(request);
    } catch (error) {
      if (faultOutcome(error) !== "unknown") throw error;
      const again = { ...request, now: clock.now() };
      return await store.claimTask(again).catch((failure) => {
        this.#claimedTask(request);
        throw failure;
      });
    }
  }

  /** What a ticket may have leased without anybody's having heard of it. */
  #claimedTask(request: ClaimTaskRequest, tries = 0): void {
    const { store, clock } = this.#options;
    if (tries >= triesMax) return;
    clock.after(retryMs, () => {
      store.claimTask({ ...request, now: clock.now() }).then(
        (answer) => {
          if (answer.outcome === "claimed") this.task(answer.task);
        },
        () => this.#claimedTask(request, tries + 1),
      );
    });
  }

  /** The same claim, with its prefix, finds what it has leased. */
  claimAgain(request: ClaimTasksRequest): Promise<ClaimTasksAnswer> {
    const { store, clock } = this.#options;
    return store.claimTasks({ ...request, now: clock.now() });
  }

  /** What a claim may have leased without anybody's having heard of it; nothing is added. */
  claim(request: ClaimTasksRequest, onMore: (queue: string) => void, tries = 0): void {
    if (tries >= triesMax) return;
    const queues = request.queues.map(({ name }) => ({ name, limit: 0 }));
    this.#options.clock.after(retryMs, () => {
      this.claimAgain({ ...request, queues, limit: 0 }).then(
        ({ tasks, more }) => {
          for (const task of tasks) this.task(task);
          for (const queue of more) onMore(queue);
        },
        () => this.claim(request, onMore, tries + 1),
      );
    });
  }
}
