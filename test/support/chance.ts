/** A seeded source of choices: the same seed makes the same choices for ever. */

export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Mulberry32: at least 0, below 1. */
  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  below(bound: number): number {
    return Math.floor(this.#next() * bound);
  }

  /** True in this many of a hundred cases. */
  percent(chances: number): boolean {
    return this.below(100) < chances;
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)] as Item;
  }

  /** Up to `most` things, often none. */
  some<Item>(most: number, make: () => Item): Item[] {
    return Array.from({ length: Math.max(0, this.below(most + 3) - 2) }, make);
  }
}
