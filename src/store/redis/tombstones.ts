/**
 * About how many tombstones there are: each reading counts one partition more, in turn. Ids spread
 * evenly, so that those counted lately stand for the others.
 */
export class Tombstones {
  readonly #partitions: number;
  readonly #count: (partition: number) => Promise<number>;
  readonly #counts = new Map<number, number>();
  #next = 0;

  constructor(partitions: number, count: (partition: number) => Promise<number>) {
    this.#partitions = partitions;
    this.#count = count;
  }

  async read(): Promise<number> {
    const partition = this.#next;
    this.#next = (partition + 1) % this.#partitions;
    try {
      this.#counts.set(partition, await this.#count(partition));
    } catch {
      // One that is away keeps its last count.
    }
    const sum = [...this.#counts.values()].reduce((total, one) => total + one, 0);
    return Math.round((sum / Math.max(1, this.#counts.size)) * this.#partitions);
  }
}
