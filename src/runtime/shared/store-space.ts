/**
 * Whether the store has room for new executions. What runs already may use the rest: a store that
 * is filled to the last byte could not even note that something has ended. Between two readings
 * starts are counted by their bytes, so that however many come at once, they do not take what is
 * kept.
 */
import { type Clock, within } from "../../base/clock.ts";
import { OrchyError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import type { Pressure, Store } from "../../store/store.ts";
import type { Logger } from "../../telemetry/log.ts";

/** Starts look at a reading that is at most this old. */
const freshMs = 1_000;
/** What a start takes in the store: a few copies of its input, and its rows and indexes. */
const copiesPerStart = 3;
const bytesPerStart = 4_096;
/** How long starts wait for a new reading: the store may be partly away. */
const patienceMs = 500;

export class StoreSpace {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #keepRetention: boolean;
  #used = 0;
  /**
   * From the reading above the bound until one that is somewhat below it: around it nothing flaps.
   */
  #isFull = false;
  #tombstones = 0;
  #tombstonesAtLeast = false;
  /** Bytes that were left for starts at the last reading, and what was taken since. */
  #left = Number.POSITIVE_INFINITY;
  #taken = 0;
  /** Of starts that are under way: a reading may not have seen them. */
  #underWay = 0;
  #readAt = Number.NEGATIVE_INFINITY;
  #reading: Promise<Pressure> | undefined;
  /** The reading that is under way takes long. */
  #isSlow = false;

  constructor(options: {
    readonly store: Store;
    readonly clock: Clock;
    readonly log: Logger;
    /** Nothing is removed early to make room. */
    readonly keepRetention?: boolean | undefined;
  }) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#keepRetention = options.keepRetention === true;
  }

  /** Read now. */
  read(): Promise<Pressure> {
    this.#reading ??= this.#store
      .pressure()
      .then((pressure) => {
        const { used, tombstones = 0, left = Number.POSITIVE_INFINITY } = pressure;
        this.#tombstones = tombstones;
        this.#tombstonesAtLeast = pressure.atLeast === true;
        this.#used = used;
        this.#noteFull();
        this.#left = left;
        this.#taken = this.#underWay;
        this.#readAt = this.#clock.now();
        return pressure;
      })
      .finally(() => {
        this.#reading = undefined;
        this.#isSlow = false;
      });
    return this.#reading;
  }

  /**
   * What could not be read is taken as unchanged: the start itself will find a store that is away.
   */
  async #refresh(): Promise<void> {
    const reading = this.read();
    const ended = reading.catch(() => {});
    if (this.#isSlow) return;
    await within(patienceMs, ended, this.#clock);
    if (this.#reading === reading) this.#isSlow = true;
  }

  #noteFull(): void {
    const { usedMax } = this.#store.traits;
    const isFull = this.#used > usedMax - (this.#isFull ? limits.startsRegained : 0);
    if (isFull === this.#isFull) return;
    this.#isFull = isFull;
    const fields = { used: percent(this.#used), tombstones: this.#tombstones };
    if (isFull) this.#log.warn("the store is nearly full: starts are refused", fields);
    else this.#log.warn("the store has room again: starts are taken", fields);
  }

  /** Nothing new is started, by the last reading. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** How full the store is, and what of it early retention cannot remove, by the last reading. */
  get sentence(): string {
    const used = `${percent(this.#used)} of the store's room is used`;
    const count = `${this.#tombstonesAtLeast ? "at least " : ""}${this.#tombstones}`;
    const tombstones = `, also by the ids of ${count} deleted executions`;
    const sentence = `${used}${this.#tombstones === 0 ? "" : tombstones}.`;
    if (!this.#keepRetention || !this.#isFull) return sentence;
    return `${sentence} With --keep-retention none is made: delete executions that have ended.`;
  }

  /**
   * Lets a start with this many bytes of input take its room, and returns what to call when it has
   * ended. Throws RESOURCE_EXHAUSTED when nothing new may be started.
   */
  async enter(inputBytes: number): Promise<() => void> {
    const bytes = bytesPerStart + copiesPerStart * inputBytes;
    const isOld = Math.abs(this.#clock.now() - this.#readAt) >= freshMs;
    if (isOld || !this.#fits(bytes)) await this.#refresh();
    if (!this.#fits(bytes)) {
      const message = `${this.sentence} New starts are refused until there is room; running executions go on.`;
      throw new OrchyError("RESOURCE_EXHAUSTED", message);
    }
    this.#taken += bytes;
    this.#underWay += bytes;
    return () => {
      this.#underWay -= bytes;
    };
  }

  /** One alone is small beside what is kept; many at once need not be. */
  #fits(bytes: number): boolean {
    if (this.#isFull) return false;
    return this.#taken === 0 || this.#taken + bytes <= this.#left;
  }
}

export function percent(share: number): string {
  return `${Math.min(100, Math.round(share * 100))} %`;
}
