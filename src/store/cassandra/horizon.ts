/**
 * What this process knows of the beginning of a work shelf: up to a mark only a few entries are left.
 * Scans begin there, and do not pass over what was struck before.
 */
import { compareText } from "../kit/order.ts";
import type { Entry, Place } from "../records/driver.ts";

/** More of them, and the mark stays before the rest. */
const keptMax = 16;

interface Known {
  /** Before the mark or at it, in order; others may have struck them meanwhile. */
  readonly kept: readonly Entry[];
  readonly mark: Place;
}

export function comparePlaces(a: Place, b: Place): number {
  return a.at - b.at || compareText(a.id, b.id);
}

export class Horizon {
  #known: Known | undefined;
  /** Raised where something comes in behind the mark. */
  #generation = 0;
  #isSweeping = false;
  /** When all before the mark was read last. */
  #sweptAt = Number.NEGATIVE_INFINITY;

  /** Absent: it has to be scanned from its beginning. */
  get known(): Known | undefined {
    return this.#known;
  }

  get generation(): number {
    return this.#generation;
  }

  /**
   * Up to `upTo` there is nothing but these entries, in order; `generation` was read before them, and
   * beyond `settledUpTo` more may be on their way.
   */
  learn(found: {
    readonly entries: readonly Entry[];
    readonly upTo: Place;
    readonly settledUpTo: Place;
    readonly generation: number;
  }): void {
    if (found.generation !== this.#generation) return;
    const upTo = [found.upTo, found.settledUpTo].toSorted(comparePlaces)[0]!;
    const kept = found.entries.filter(({ place }) => comparePlaces(place, upTo) <= 0);
    const mark = kept.length > keptMax ? kept[keptMax - 1]!.place : upTo;
    this.#known = { kept: kept.slice(0, keptMax), mark };
  }

  /** By this process. */
  onStruck(place: Place): void {
    if (this.#known === undefined) return;
    const { kept, mark } = this.#known;
    if (comparePlaces(place, mark) > 0) return;
    this.#known = { mark, kept: kept.filter((one) => comparePlaces(one.place, place) !== 0) };
  }

  /** Something came in where the mark may be, or come to be. */
  forget(): void {
    this.#generation++;
    this.#known = undefined;
  }

  onScanned(now: number): void {
    this.#sweptAt = now;
  }

  /** Runs one at a time, `everyMs` after the last; a failure is made up for by the next. */
  async sweep(now: number, everyMs: number, run: () => Promise<void>): Promise<void> {
    if (this.#isSweeping || now - this.#sweptAt < everyMs) return;
    this.#isSweeping = true;
    try {
      await run();
      this.#sweptAt = now;
    } catch {
      // The next scan begins another one.
    } finally {
      this.#isSweeping = false;
    }
  }
}
