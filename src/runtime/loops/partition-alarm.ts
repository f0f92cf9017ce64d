/**
 * One sleep for many partitions: each has the moment at which it wants to be looked at; the alarm
 * rings for those whose moment has come, one look at a time for each partition.
 */
import type { Clock } from "../../base/clock.ts";
import { limits } from "../../base/limits.ts";

interface PartitionAlarmOptions {
  readonly partitions: number;
  readonly clock: Clock;
  /** Looks after a partition; returns when to look at it again, if it knows. */
  readonly ring: (partition: number) => Promise<number | undefined>;
  /** Longest time without a look at a partition; at most limits.sleepMsMax. */
  readonly restMs: (partition: number) => number;
}

/** After a failed look the partition is tried again so much later. */
const retryMs = 1_000;

export class PartitionAlarm {
  readonly #options: PartitionAlarmOptions;
  readonly #moments: Float64Array;
  readonly #ringing = new Map<number, Promise<void>>();
  #cancelSleep: (() => void) | undefined;
  #sleepUntil = Number.POSITIVE_INFINITY;
  #running = false;

  constructor(options: PartitionAlarmOptions) {
    this.#options = options;
    this.#moments = new Float64Array(options.partitions).fill(Number.POSITIVE_INFINITY);
  }

  /** Every partition is looked at once: what was left by others is found. */
  start(): void {
    this.#running = true;
    this.#moments.fill(this.#options.clock.now());
    this.#sleep();
  }

  note(partition: number, at: number): void {
    if (at >= this.#moments[partition]!) return;
    this.#moments[partition] = at;
    if (this.#running && at < this.#sleepUntil) this.#sleep();
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#cancelSleep?.();
    await Promise.all(this.#ringing.values());
  }

  #sleep(): void {
    this.#cancelSleep?.();
    this.#cancelSleep = undefined;
    if (!this.#running) return;
    const now = this.#options.clock.now();
    let earliest = now + limits.sleepMsMax;
    for (let partition = 0; partition < this.#moments.length; partition++) {
      if (this.#ringing.has(partition)) continue;
      earliest = Math.min(earliest, this.#moments[partition]!);
    }
    this.#sleepUntil = earliest;
    const ms = Math.max(0, Math.ceil(earliest - now));
    this.#cancelSleep = this.#options.clock.after(ms, () => this.#wake());
  }

  #wake(): void {
    const now = this.#options.clock.now();
    for (let partition = 0; partition < this.#moments.length; partition++) {
      if (this.#ringing.has(partition)) continue;
      if (this.#moments[partition]! > now) {
        // Later than any look may come only when the clock was set back meanwhile.
        const latest = now + this.#options.restMs(partition);
        if (this.#moments[partition]! > latest) this.#moments[partition] = latest;
        continue;
      }
      // What is noted while the look is under way counts for the next one.
      this.#moments[partition] = Number.POSITIVE_INFINITY;
      this.#ringing.set(partition, this.#ring(partition));
    }
    this.#sleep();
  }

  async #ring(partition: number): Promise<void> {
    const { clock, ring, restMs } = this.#options;
    let next: number | undefined;
    try {
      next = await ring(partition);
    } catch {
      next = clock.now() + retryMs;
    }
    this.#ringing.delete(partition);
    // Whatever was left there without a word, by others or by a lost answer, is found in time.
    next = Math.min(next ?? Number.POSITIVE_INFINITY, clock.now() + restMs(partition));
    if (next < this.#moments[partition]!) this.#moments[partition] = next;
    if (this.#moments[partition]! < this.#sleepUntil) this.#sleep();
  }
}
