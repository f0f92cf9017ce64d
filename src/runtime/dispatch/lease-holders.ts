/**
 * Which workers hold which tasks, as far as this server gave them out, so that a worker hears of a
 * cancelled task with its next poll, and a busy one counts as there. A hint: it is kept in memory,
 * bounded, and sent once.
 */
import { BoundedMap } from "../../base/bounded-map.ts";
import { limits } from "../../base/limits.ts";
import type { Decision } from "../../model/decision.ts";
import type { LeasedTask } from "../../store/store.ts";

/** Tasks whose workers a server remembers, to report a cancellation; some 300 bytes each. */
const holdersKept = 100_000;
/** Workers for which cancellations are kept until their next poll. */
const cancelledWorkersKept = 1_000;

export interface Holder {
  readonly workerId: string;
  readonly token: string;
}

interface Lease extends Holder {
  /** As it was given. */
  readonly leaseUntil: number;
}

export class LeaseHolders {
  /** By task; those given out first are first, and forgotten first. */
  readonly #holders = new BoundedMap<string, Lease>(holdersKept);
  /** Tokens that wait for the next poll of a worker. */
  readonly #cancelled = new BoundedMap<string, string[]>(cancelledWorkersKept);

  givenOut(tasks: readonly LeasedTask[], workerId: string): void {
    for (const { id, token, leaseUntil } of tasks) {
      this.#holders.set(id, { workerId, token, leaseUntil });
    }
  }

  ended({ settle, expire }: Decision): void {
    for (const { taskId } of settle) this.#holders.delete(taskId);
    for (const { taskId } of expire) this.#holders.delete(taskId);
  }

  /** Tasks that were cancelled: returns their holders, where known, and the ids of the others. */
  takeHolders(taskIds: readonly string[]): {
    readonly holders: readonly Holder[];
    readonly unknown: readonly string[];
  } {
    const holders: Holder[] = [];
    const unknown: string[] = [];
    for (const id of taskIds) {
      const holder = this.#holders.get(id);
      if (holder === undefined) {
        unknown.push(id);
      } else {
        this.#holders.delete(id);
        // Several may poll without a name: none of them could be found again.
        if (holder.workerId !== "") holders.push(holder);
      }
    }
    return { holders, unknown };
  }

  /** Those that hold a task whose lease lives, as it was given or by a heartbeat. */
  busyWorkers(now: number, isBeaten: (token: string) => boolean): ReadonlySet<string> {
    const busy = new Set<string>();
    for (const { workerId, token, leaseUntil } of this.#holders.values()) {
      if (!busy.has(workerId) && (leaseUntil > now || isBeaten(token))) busy.add(workerId);
    }
    return busy;
  }

  hasCancelled(workerId: string): boolean {
    return this.#cancelled.has(workerId);
  }

  /** What the worker has not heard yet. */
  takeCancelled(workerId: string): readonly string[] {
    const tokens = this.#cancelled.get(workerId) ?? [];
    this.#cancelled.delete(workerId);
    return tokens;
  }

  /** For its next poll. */
  cancel({ workerId, token }: Holder): void {
    const tokens = this.#cancelled.get(workerId) ?? [];
    if (tokens.length >= limits.cancelledPerResponseMax) return;
    tokens.push(token);
    this.#cancelled.set(workerId, tokens);
  }
}
