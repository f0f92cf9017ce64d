/**
 * Queues whose tasks wait while no worker polls for them: found by looking, now and then, at queues
 * that are hinted to hold something and that no poll waits for. What other servers' workers do is
 * seen by what becomes of the tasks: a worker with room takes them at once, a busy one holds
 * leases. Servers send each other notes of such queues that are polled after all. A queue for JSON
 * counts as part of the plain one here: see uncarried.ts for polls that cannot take what waits in
 * it.
 */

import { BoundedMap } from "../../base/bounded-map.ts";
import type { Clock } from "../../base/clock.ts";
import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import { jsonQueueKey, parseQueueKey, plainQueueKey } from "../../model/ids.ts";
import type { Store } from "../../store/store.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Notes } from "../peers/notes.ts";
import type { WorkerCount } from "../shared/explanation.ts";
import { Rounds } from "../shared/rounds.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { merged, type Waiting, waitingIn } from "./waiting.ts";

/** Time between two looks at queues whose workers are busy or at other servers. */
const unpolledRestMs = 30_000;

/** Notes of queues that are polled after all; any partition's channel will do. */
const kind = "polled";
const channel = 0;

interface UnpolledOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly dispatcher: Pick<Dispatcher, "unattended" | "unhintAll" | "hint">;
  readonly notes: Pick<Notes, "areHeard" | "on" | "send">;
  /** Of several servers the one that looks after the partition of the oldest task warns. */
  readonly prefers: (partition: number) => boolean;
  /** Whether polls for it, here or elsewhere, cannot take what waits. */
  readonly isRefused: (queue: string) => boolean;
  /** Whether consumers of a broker do its tasks. */
  readonly isDelivered: (queue: string) => boolean;
  /** Workers of all servers, for a store that does not count what they hold. */
  readonly workersOf: (queues: readonly string[]) => Promise<ReadonlyMap<string, WorkerCount>>;
}

/** A queue that holds something, and that no worker has polled here since then. */
interface Suspect {
  /** Later than that: when it is to be looked at again, less `limits.unpolledMs`. */
  since: number;
  /** As the last look found it: a worker elsewhere takes the oldest task. */
  oldestAt?: number;
}

export class Unpolled {
  readonly #options: UnpolledOptions;
  readonly #rounds: Rounds;
  #suspects = new Map<string, Suspect>();
  readonly #unpolled = new Set<string>();
  /** When it was warned of which queue; the earliest first. */
  readonly #warned = new BoundedMap<string, number>(limits.unpolledQueuesMax);

  constructor(options: UnpolledOptions) {
    this.#options = options;
    this.#rounds = new Rounds({
      clock: options.clock,
      log: options.log,
      round: () => this.look().then(() => limits.unpolledLookMs),
      failedRestMs: limits.unpolledLookMs,
      failure: "queues without polls could not be looked at",
    });
    options.notes.on(kind, (queues) => this.#forget(queues));
  }

  start(): void {
    this.#rounds.start(limits.unpolledLookMs);
  }

  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  /** Whether its tasks wait, and no worker has polled for them for `limits.unpolledMs`. */
  has(queue: string): boolean {
    return this.#unpolled.has(plainQueueKey(queue));
  }

  polled(queues: readonly string[]): void {
    if (this.#suspects.size === 0) return;
    // Other servers have looked at them, too, and may have found that no worker polls for them.
    const found = queues.filter((queue) => this.#suspects.get(queue)?.oldestAt !== undefined);
    this.#forget(queues);
    const { notes } = this.#options;
    if (found.length > 0 && notes.areHeard) void notes.send(kind, channel, found);
  }

  #forget(queues: readonly string[]): void {
    for (const queue of queues) {
      this.#suspects.delete(queue);
      this.#unpolled.delete(queue);
    }
  }

  async look(): Promise<void> {
    const { clock, dispatcher, isRefused, isDelivered } = this.#options;
    const now = clock.now();
    const before = this.#suspects;
    this.#suspects = new Map();
    for (const queue of dispatcher.unattended()) {
      if (this.#suspects.size === limits.unpolledQueuesMax) break;
      if (isRefused(queue) || isDelivered(queue)) continue;
      this.#suspects.set(queue, before.get(queue) ?? { since: now });
    }
    for (const queue of this.#unpolled)
      if (!this.#suspects.has(queue)) this.#unpolled.delete(queue);
    const due = [...this.#suspects].filter(([, { since }]) => now - since >= limits.unpolledMs);
    if (due.length > 0) await this.#check(due.map(([queue]) => queue));
  }

  async #check(queues: readonly string[]): Promise<void> {
    const { clock } = this.#options;
    const waiting = await this.#waiting(queues);
    const taken = await this.#taken(waiting);
    const now = clock.now();
    for (const queue of queues) {
      const found = waiting.get(queue);
      const suspect = this.#suspects.get(queue);
      // Polled meanwhile.
      if (suspect === undefined) continue;
      if (found === undefined) this.#unpolled.delete(queue);
      else if (this.#isIdle(suspect, { ...found, isTaken: taken.has(queue) }, now))
        this.#report(queue, found, now);
      else this.#unpolled.delete(queue);
    }
  }

  /** What waits in these queues and in those beside them for JSON, where something does. */
  async #waiting(queues: readonly string[]): Promise<ReadonlyMap<string, Waiting>> {
    const keys = (queue: string) => [queue, jsonQueueKey(queue)];
    const found = await waitingIn(this.#options, new Set(queues.flatMap(keys)));
    const waiting = new Map<string, Waiting>();
    for (const queue of queues) {
      const [one, other] = keys(queue).flatMap((key) => found.get(key) ?? []);
      if (one !== undefined) waiting.set(queue, other === undefined ? one : merged(one, other));
    }
    return waiting;
  }

  /** Those of which workers hold tasks. */
  async #taken(waiting: ReadonlyMap<string, Waiting>): Promise<ReadonlySet<string>> {
    const { store, workersOf } = this.#options;
    if (store.traits.countsLeased) {
      return new Set([...waiting].flatMap(([queue, { leased = 0 }]) => (leased > 0 ? queue : [])));
    }
    if (waiting.size === 0) return new Set();
    const workers = await workersOf([...waiting.keys()]);
    return new Set([...workers].flatMap(([queue, { busy }]) => (busy > 0 ? queue : [])));
  }

  /**
   * Whether no worker takes them, and when to look again. Where other servers share
   * the store, a second look decides.
   */
  #isIdle(
    suspect: Suspect,
    { isTaken, oldestAt }: Pick<Waiting, "oldestAt"> & { readonly isTaken: boolean },
    now: number,
  ): boolean {
    const { oldestAt: before } = suspect;
    suspect.oldestAt = oldestAt;
    const again = (restMs: number) => {
      suspect.since = now - limits.unpolledMs + restMs;
    };
    again(unpolledRestMs);
    if (isTaken) return false;
    if (now - oldestAt < limits.unpolledMs) {
      suspect.since = Math.min(oldestAt, now);
      return false;
    }
    if (!this.#options.store.traits.shared || oldestAt === before) return true;
    again(limits.unpolledSecondMs);
    return false;
  }

  #report(key: string, { queued, atLeast, oldestAt, partition }: Waiting, now: number): void {
    const { log, prefers } = this.#options;
    if (this.#unpolled.has(key)) return;
    this.#unpolled.add(key);
    const warnedAt = this.#warned.get(key) ?? Number.NEGATIVE_INFINITY;
    if (!prefers(partition) || now - warnedAt < limits.unpolledWarnMs) return;
    this.#warned.set(key, now);
    const waitingMs = now - oldestAt;
    log.warn("tasks wait, and no worker polls for them", {
      ...parseQueueKey(key),
      queued,
      ...defined({ atLeast }),
      waitingMs,
    });
  }
}
