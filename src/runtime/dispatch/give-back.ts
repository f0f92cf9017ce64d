/**
 * Leases without a holder go back to their queues at once, no attempt burnt; at last they lapse.
 */
import type { Clock } from "../../base/clock.ts";
import type { ClaimTasksAnswer, ClaimTasksRequest, LeasedTask, Store } from "../../store/store.ts";
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
  readonly onReleased: (partition: number, queue: string) => void;
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
        if (answer === "released") onReleased(partition, task.queue);
      })
      .catch((error) => {
        logFault(log, "a task could not be given back", error, { id });
        // In the end its lease lapses by itself.
        if (tries >= triesMax || clock.now() >= leaseUntil) return;
        clock.after(retryMs, () => this.task(task, tries + 1));
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
