/**
 * Makes room when the store is too full for new starts: finished executions are removed before
 * their retention is over, those first whose retention would end first, until there is room again.
 * What runs is never touched, nor what has ended so lately that somebody may be about to read it.
 */

import type { Clock } from "../../base/clock.ts";
import { limits } from "../../base/limits.ts";
import type { Pressure, Store } from "../../store/store.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import type { Executions } from "../services/executions.ts";
import { logFault } from "../shared/faults.ts";
import { Rounds } from "../shared/rounds.ts";
import { percent, type StoreSpace } from "../shared/store-space.ts";
import { RetentionEnds } from "./retention-ends.ts";

/** Share below the bound at which early removals begin. */
const earlyRetentionLead = 0.01;
/** Time between two looks at the room. */
const spaceLookMs = 1_000;
/** Pause between two rounds of removals while the store is too full. */
const spaceRestMs = 100;
/** Executions of one round: few, as each may hold megabytes. */
export const earlyRemovalsAtOnce = 64;

interface EarlyRetentionOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly space: StoreSpace;
  readonly executions: Executions;
  /** Partitions that this server looks after: others make room in the rest. */
  readonly prefers: (partition: number) => boolean;
}

export class EarlyRetention {
  readonly #options: EarlyRetentionOptions;
  readonly #ends: RetentionEnds;
  readonly #rounds: Rounds;
  #isMakingRoom = false;
  /**
   * Of the walk over the ends that is under way: one bound for all of it, or what is passed over as
   * too young at its beginning would outlive what comes after it.
   */
  #endedBefore: number | undefined;

  constructor(options: EarlyRetentionOptions) {
    this.#options = options;
    this.#ends = new RetentionEnds(options.store);
    this.#rounds = new Rounds({
      clock: options.clock,
      log: options.log,
      round: async () => ((await this.#round()) ? spaceRestMs : spaceLookMs),
      failedRestMs: spaceLookMs,
      failure: "early retention failed",
    });
  }

  /** A store that lists no timers has no bound of room. */
  start(): void {
    if (this.#options.store.listTimers === undefined) return;
    this.#rounds.start(spaceLookMs);
  }

  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  /**
   * Removes a few at a time and logs how many; returns whether more is to be removed
   * at once: where executions end as fast as they are removed, resting would halve what is started.
   */
  async #round(): Promise<boolean> {
    const { clock, log, metrics, space } = this.#options;
    const endsAt = clock.now() + spaceLookMs;
    const first = await space.read();
    let removed = 0;
    try {
      for (
        let now = first;
        this.#rounds.isRunning && this.#lacksRoom(now);
        now = await space.read()
      ) {
        const gone = await this.#removeSome();
        removed += gone ?? 0;
        if (gone === undefined) return false;
        if (clock.now() >= endsAt) return true;
      }
      return false;
    } finally {
      if (removed > 0) {
        metrics.removedEarly(removed);
        const message = "finished executions were removed before their retention was over";
        log.warn(message, { removed, used: percent(first.used) });
      }
    }
  }

  /**
   * From shortly below the share above which starts are refused, until it is somewhat below that.
   */
  #lacksRoom({ used, removalHelps = true }: Pressure): boolean {
    const { usedMax } = this.#options.store.traits;
    if (!removalHelps) return false;
    if (used > usedMax - earlyRetentionLead) this.#isMakingRoom = true;
    else if (used <= usedMax - limits.spaceRegained) this.#isMakingRoom = false;
    if (!this.#isMakingRoom) this.#beginAnew();
    return this.#isMakingRoom;
  }

  #beginAnew(): void {
    this.#ends.reset();
    this.#endedBefore = undefined;
  }

  /** Returns how many; undefined: nothing more may be removed now. */
  async #removeSome(): Promise<number | undefined> {
    const { store, clock, log, executions, prefers } = this.#options;
    const partitions = Array.from({ length: store.partitions }, (_, i) => i).filter(prefers);
    this.#endedBefore ??= clock.now() - limits.earlyRetentionAgeMs;
    const endedBefore = this.#endedBefore;
    const { timers, isOver } = await this.#ends.next(partitions, earlyRemovalsAtOnce);
    if (isOver) this.#beginAnew();
    if (timers.length === 0) return undefined;
    const removals = timers.map(({ key }) =>
      executions.remove(key, { endedBefore }).catch((error) => {
        logFault(log, "an execution could not be removed early", error, { id: key.id });
        return "failed" as const;
      }),
    );
    const outcomes = await Promise.all(removals);
    return outcomes.filter((outcome) => outcome === "removed").length;
  }
}
