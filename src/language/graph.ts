/**
 * The graph of a definition's actions, by their positions: an order, cycles, what can be reached,
 * and what comes before what. Everything is iterative: a row of 1,000 actions costs no stack.
 */

/** `targets[i]`: positions of the distinct actions that action i leads to. */
export type Targets = readonly (readonly number[])[];

interface Order {
  /** Each position after all that lead to it; as near to the given order as that allows. */
  readonly order: readonly number[];
  /** Disjoint cycles, each in the order of its edges. Not empty: `order` ignores some edges. */
  readonly cycles: readonly (readonly number[])[];
}

export function countIncoming(targets: Targets): number[] {
  const incoming = new Array<number>(targets.length).fill(0);
  for (const list of targets) for (const target of list) incoming[target]! += 1;
  return incoming;
}

export function orderOf(targets: Targets): Order {
  const undecided = countIncoming(targets);
  const sources = sourcesOf(targets);
  const done = new Uint8Array(targets.length);
  const order: number[] = [];
  const cycles: number[][] = [];
  const ready = new PlaceQueue();
  for (const [index, count] of undecided.entries()) if (count === 0) ready.add(index);
  while (order.length < targets.length) {
    if (ready.size === 0) {
      const cycle = findCycle(sources, done);
      cycles.push(cycle);
      for (const index of cycle) if (done[index] === 0) ready.add(index);
    }
    const next = ready.take();
    if (done[next] === 1) continue;
    done[next] = 1;
    order.push(next);
    for (const target of targets[next]!) {
      undecided[target]! -= 1;
      if (undecided[target] === 0 && done[target] === 0) ready.add(target);
    }
  }
  return { order, cycles };
}

/** Positions, each once, of which the smallest comes first. */
export class PlaceQueue {
  readonly #descending: number[] = [];

  get size(): number {
    return this.#descending.length;
  }

  add(index: number): void {
    let low = 0;
    let high = this.#descending.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#descending[middle]! > index) low = middle + 1;
      else high = middle;
    }
    if (this.#descending[low] !== index) this.#descending.splice(low, 0, index);
  }

  take(): number {
    return this.#descending.pop()!;
  }
}

function sourcesOf(targets: Targets): number[][] {
  const sources: number[][] = targets.map(() => []);
  for (const [index, list] of targets.entries()) {
    for (const target of list) sources[target]!.push(index);
  }
  return sources;
}

/**
 * Every action that is left has a source that is left: going back, one comes by again. The cycle
 * begins with its smallest position.
 */
function findCycle(sources: readonly (readonly number[])[], done: Uint8Array): number[] {
  const way: number[] = [];
  const placeInWay = new Map<number, number>();
  let at = done.indexOf(0);
  while (!placeInWay.has(at)) {
    placeInWay.set(at, way.length);
    way.push(at);
    at = sources[at]!.find((source) => done[source] === 0)!;
  }
  const cycle = way.slice(placeInWay.get(at)!).reverse();
  const first = cycle.indexOf(Math.min(...cycle));
  return [...cycle.slice(first), ...cycle.slice(0, first)];
}

/** Which positions can be reached from these. */
export function reachable(targets: Targets, from: readonly number[]): Uint8Array {
  const seen = new Uint8Array(targets.length);
  const open = [...from];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (seen[next] === 1) continue;
    seen[next] = 1;
    for (const target of targets[next]!) if (seen[target] === 0) open.push(target);
  }
  return seen;
}

/** For each action all that come before it on some way, as a set of bits. */
export class Ancestors {
  readonly #words: number;
  readonly #bits: Uint32Array;

  constructor(targets: Targets, order: readonly number[]) {
    this.#words = (targets.length + 31) >>> 5;
    this.#bits = new Uint32Array(this.#words * targets.length);
    for (const source of order) for (const target of targets[source]!) this.#lead(source, target);
  }

  #lead(source: number, target: number): void {
    const from = source * this.#words;
    const to = target * this.#words;
    for (let word = 0; word < this.#words; word++) {
      this.#bits[to + word]! |= this.#bits[from + word]!;
    }
    this.#bits[to + (source >>> 5)]! |= 1 << (source & 31);
  }

  has(index: number, ancestor: number): boolean {
    return (this.#bits[index * this.#words + (ancestor >>> 5)]! & (1 << (ancestor & 31))) !== 0;
  }

  of(index: number): number[] {
    const found: number[] = [];
    for (let word = 0; word < this.#words; word++) {
      let bits = this.#bits[index * this.#words + word]!;
      while (bits !== 0) {
        const bit = 31 - Math.clz32(bits & -bits);
        found.push(word * 32 + bit);
        bits &= bits - 1;
      }
    }
    return found;
  }
}
