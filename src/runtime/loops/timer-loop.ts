/**
 * Everything that happens later: delays, timeouts, backoffs, leases, retention. Sleeps until the
 * earliest moment that any partition names, claims what is due there, and hands it on. What is
 * claimed and not consumed shows up again after limits.timerHideMs, here or on another server.
 */
import type { Clock, Ids } from "../../base/clock.ts";
import { limits } from "../../base/limits.ts";
import type { DueItem, Store } from "../../store/store.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Standstill } from "../peers/standstill.ts";
import { logFault } from "../shared/faults.ts";
import { PartitionAlarm } from "./partition-alarm.ts";

/** Due timers of one claim. */
const timersPerClaimMax = 200;

interface TimerLoopOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
  readonly standstill: Standstill;
  /** Longest time without a look at a partition. */
  readonly restMs: (partition: number) => number;
  /** Resolves when it is handled; a rejection leaves it to its next showing. */
  readonly handle: (item: DueItem, claimId: string) => Promise<void>;
}

export class TimerLoop {
  readonly #options: TimerLoopOptions;
  readonly #alarm: PartitionAlarm;
  /** Claims whose items are still being handled, so that a stop can wait for them. */
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(options: TimerLoopOptions) {
    this.#options = options;
    this.#alarm = new PartitionAlarm({
      partitions: options.store.partitions,
      clock: options.clock,
      ring: (partition) => this.#claim(partition),
      restMs: options.restMs,
    });
  }

  start(): void {
    this.#alarm.start();
  }

  /** Something in this partition is due at this moment. */
  note(partition: number, at: number): void {
    this.#alarm.note(partition, at);
  }

  async stop(): Promise<void> {
    await this.#alarm.stop();
    await Promise.allSettled(this.#underWay);
  }

  /** Returns when to ring again. */
  async #claim(partition: number): Promise<number | undefined> {
    const { store, clock, ids, log, standstill } = this.#options;
    const claimId = ids.nonce();
    const limit = timersPerClaimMax;
    const now = clock.now();
    const request = { partition, claimId, limit, hideMs: limits.timerHideMs, now };
    const answer = await standstill.ask(partition, () => store.claimDue(request));
    for (const item of answer.items) {
      const handling = this.#options
        .handle(item, claimId)
        .catch((error) => {
          logFault(log, "a due item could not be handled yet", error, { id: item.key.id });
          this.note(partition, clock.now() + limits.timerHideMs);
        })
        .finally(() => this.#underWay.delete(handling));
      this.#underWay.add(handling);
    }
    return answer.items.length === limit ? now : answer.nextDue;
  }
}
