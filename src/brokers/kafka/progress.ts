/**
 * What a consumer has of each partition that it is assigned: which messages are under way, and so
 * up to where all are done with, which is what may be committed. The client may deliver a message
 * again, and after two rebalances in a short time go on behind some that were never delivered; both
 * are seen here by the offsets.
 */

interface Place {
  readonly topic: string;
  readonly partition: number;
  /** One after the last message that was accepted. */
  next: bigint;
  /** Where the first message is to be; undefined once it has come. */
  start: bigint | undefined;
  rewinds: number;
  readonly underWay: Set<bigint>;
  /** One after the last message that may be committed; what was committed. */
  committed: bigint;
}

interface Position {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
}

/** Offsets that are missing at the start may also be gaps that the broker left: then it goes on. */
const rewindsMax = 3;

export class Progress {
  readonly #places = new Map<string, Place>();

  /** Returns those that are no longer assigned. */
  assign(assigned: readonly Omit<Position, "offset">[]): readonly string[] {
    const keys = new Set(assigned.map(partitionKey));
    const lost = [...this.#places.keys()].filter((key) => !keys.has(key));
    for (const key of lost) this.#places.delete(key);
    return lost;
  }

  /** Where a partition that was assigned anew begins. */
  begin(position: Position): void {
    const key = partitionKey(position);
    if (this.#places.has(key)) return;
    const { topic, partition, offset } = position;
    const underWay = new Set<bigint>();
    const start = { next: offset, start: offset, committed: offset };
    this.#places.set(key, { topic, partition, ...start, rewinds: 0, underWay });
  }

  has(position: Omit<Position, "offset">): boolean {
    return this.#places.has(partitionKey(position));
  }

  /** Whether it is delivered; or the offset to which the client must go back. */
  accept(position: Position): boolean | bigint {
    const place = this.#places.get(partitionKey(position));
    if (place === undefined || position.offset < place.next) return false;
    if (place.start !== undefined && position.offset > place.start && place.rewinds < rewindsMax) {
      place.rewinds += 1;
      return place.start;
    }
    place.start = undefined;
    place.next = position.offset + 1n;
    place.underWay.add(position.offset);
    return true;
  }

  done(position: Position): void {
    this.#places.get(partitionKey(position))?.underWay.delete(position.offset);
  }

  /** What is to be committed: of each partition the offset before which all are done with. */
  due(): readonly Position[] {
    const due: Position[] = [];
    for (const { topic, partition, next, underWay, committed } of this.#places.values()) {
      // A set keeps the order in which they came, which is that of their offsets.
      const [offset = next] = underWay;
      if (offset > committed) due.push({ topic, partition, offset });
    }
    return due;
  }

  wereCommitted(positions: readonly Position[]): void {
    for (const position of positions) {
      const place = this.#places.get(partitionKey(position));
      if (place !== undefined && position.offset > place.committed) {
        place.committed = position.offset;
      }
    }
  }
}

export function partitionKey(of: { readonly topic: string; readonly partition: number }): string {
  return `${of.topic}:${of.partition}`;
}
