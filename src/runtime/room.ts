/**
 * Whether the store has room for new executions. What runs already may use the rest: a store that is
 * filled to the last byte could not even note that something has ended.
 */
import { type Clock, within } from "../clock.ts";
import { OrchyError } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { Store } from "../store/store.ts";

/** Starts look at a reading that is at most this old. */
const freshMs = 1_000;
/** They wait so long for a new one: the store may be partly away. */
const patienceMs = 500;

export class Room {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #log: Logger;
  #used = 0;
  #tombstones = 0;
  #readAt = Number.NEGATIVE_INFINITY;
  #reading: Promise<number> | undefined;
  /** The reading that is under way takes long. */
  #isSlow = false;

  constructor({ store, clock, log }: { store: Store; clock: Clock; log: Logger }) {
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
  }

  /** Share of the room in use, read now. */
  read(): Promise<number> {
    this.#reading ??= this.#store
      .pressure()
      .then(({ used, tombstones = 0 }) => {
        this.#tombstones = tombstones;
        this.#tellChange(used);
        this.#used = used;
        this.#readAt = this.#clock.now();
        return used;
      })
      .finally(() => {
        this.#reading = undefined;
        this.#isSlow = false;
      });
    return this.#reading;
  }

  /** What could not be read is taken to be as it was: whether the store is there, the start tells. */
  async #refresh(): Promise<void> {
    const reading = this.read();
    const ended = reading.catch(() => {});
    if (this.#isSlow) return;
    await within(patienceMs, ended, this.#clock);
    if (this.#reading === reading) this.#isSlow = true;
  }

  #tellChange(used: number): void {
    const { usedMax } = this.#store.traits;
    if (used > usedMax === this.#used > usedMax) return;
    const fields = { used: percent(used), tombstones: this.#tombstones };
    if (used > usedMax) this.#log.warn("the store is nearly full: starts are refused", fields);
    else this.#log.warn("the store has room again: starts are taken", fields);
  }

  /** How full the store is, and what of it early retention cannot remove, by the last reading. */
  get sentence(): string {
    const used = `${percent(this.#used)} of the store's room is used`;
    if (this.#tombstones === 0) return `${used}.`;
    return `${used}, also by the ids of ${this.#tombstones} deleted executions.`;
  }

  /** Throws RESOURCE_EXHAUSTED when nothing new may be started. */
  async check(): Promise<void> {
    if (Math.abs(this.#clock.now() - this.#readAt) >= freshMs) await this.#refresh();
    if (this.#used <= this.#store.traits.usedMax) return;
    const message = `${this.sentence} Nothing new is started until there is room again; what runs goes on.`;
    throw new OrchyError("RESOURCE_EXHAUSTED", message);
  }
}

export function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
