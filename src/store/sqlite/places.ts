/** The order in which tasks were added, over all openings of a file. */
import type { Database } from "bun:sqlite";
import { isFull } from "./full.ts";
import { countRange, nextRange } from "./schema.ts";

/** 2^21 of them fit a number exactly: so often a file may be opened, or so many used up. */
const placesPerRange = 2 ** 32;

/**
 * Each opening counts in a separate range, beyond all that were given before, and takes the next
 * one when that is used up.
 */
export class Places {
  readonly #database: Database;
  readonly #perRange: number;
  #next: number;

  constructor(database: Database, perRange = placesPerRange) {
    this.#database = database;
    this.#perRange = perRange;
    this.#next = countOpening(database) * perRange;
  }

  next(): number {
    const place = this.#next++;
    if (this.#next % this.#perRange === 0) {
      this.#next = countRange(this.#database) * this.#perRange;
    }
    return place;
  }
}

/** On a full disk an opening goes uncounted, and shares its range with the next. */
function countOpening(database: Database): number {
  try {
    return countRange(database);
  } catch (error) {
    if (!isFull(error)) throw error;
    return nextRange(database);
  }
}
