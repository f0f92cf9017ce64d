/**
 * Whether a worker that takes JSON is there for a queue, as far as this server has seen its polls.
 * A busy one is, though it does not poll. All of this is looked up only while a queue for JSON
 * waits.
 */
import type { Clock } from "../../base/clock.ts";
import { limits } from "../../base/limits.ts";
import { isJsonQueueKey, parseQueueKey, parseToken } from "../../model/ids.ts";
import type { Beats } from "../dispatch/beats.ts";
import type { Cancellations } from "../dispatch/cancellations.ts";
import type { Dispatcher } from "../dispatch/dispatcher.ts";
import type { WorkerCount } from "../shared/explanation.ts";
import type { WorkerList } from "./worker-list.ts";

interface TakersOptions {
  readonly clock: Clock;
  readonly beats: Beats;
  readonly cancellations: Cancellations;
  readonly dispatcher: Pick<Dispatcher, "waitingWorkers">;
  readonly workers: WorkerList;
}

/** Which workers hold tasks, as of a moment. */
interface Busy {
  readonly at: number;
  readonly workers: ReadonlySet<string>;
  /** False: some hold tasks that they were given before this server was started. */
  readonly areAllKnown: boolean;
}

export class Takers {
  readonly #options: TakersOptions;
  readonly #startedAt: number;
  #busy: Busy | undefined;

  constructor(options: TakersOptions) {
    this.#options = options;
    this.#startedAt = options.clock.now();
  }

  /** When one was last there for a plain queue, polling or busy with any task. */
  seenAt(queue: string): number {
    const now = this.#options.clock.now();
    const { workers, areAllKnown } = this.#busyAt(now);
    if (!areAllKnown) return now;
    return this.#options.workers.takerSeenAt(parseQueueKey(queue), now, (id) => workers.has(id));
  }

  /** The workers of this server that take tasks of these queues. */
  count(queues: readonly string[]): ReadonlyMap<string, WorkerCount> {
    const { clock, workers, dispatcher } = this.#options;
    const now = clock.now();
    const holders = this.#busyWorkers(now);
    return new Map(
      queues.map((key) => {
        const waiting = new Set(dispatcher.waitingWorkers(key));
        const busy = new Set<string>();
        for (const { id, at } of workers.takersOf({
          ...parseQueueKey(key),
          isJson: isJsonQueueKey(key),
        })) {
          if (waiting.has(id)) continue;
          if (holders.has(id)) busy.add(id);
          // It is between two polls.
          else if (at >= now - limits.unpolledMs) waiting.add(id);
        }
        return [key, { waiting: waiting.size, busy: busy.size }];
      }),
    );
  }

  #busyWorkers(now: number): ReadonlySet<string> {
    const { beats, cancellations } = this.#options;
    const from = now - limits.uncarriedMs;
    return cancellations.busyWorkers(now, (token) => (beats.of(token)?.at ?? 0) > from);
  }

  /** Looked up once for all queues of one request. */
  #busyAt(now: number): Busy {
    if (this.#busy === undefined || Math.abs(now - this.#busy.at) >= limits.unpolledLookMs / 2) {
      const { beats } = this.#options;
      const from = now - limits.uncarriedMs;
      // What the holders of earlier tasks take is unknown until they poll.
      const isEarlier = (token: string) => (parseToken(token)?.leasedAt ?? now) < this.#startedAt;
      const workers = this.#busyWorkers(now);
      this.#busy = { at: now, workers, areAllKnown: !beats.hasSince(from, isEarlier) };
    }
    return this.#busy;
  }
}
