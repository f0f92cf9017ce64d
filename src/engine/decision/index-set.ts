/** Sets of plan indexes as they are stored; see IndexSet. */
import type { IndexSet } from "../../model/execution.ts";

export const noIndexes: IndexSet = [];

export function indexSet(index: number): number[] {
  const words = new Array<number>((index >>> 5) + 1).fill(0);
  words[index >>> 5] = 1 << (index & 31);
  return words;
}

/** Returns whether any of them was new. */
export function addAll(to: number[], from: IndexSet): boolean {
  let isNew = 0;
  for (let word = 0; word < from.length; word++) {
    const before = to[word] ?? 0;
    isNew |= from[word]! & ~before;
    to[word] = before | from[word]!;
  }
  return isNew !== 0;
}

export function without(some: IndexSet, others: IndexSet): IndexSet {
  const rest = some.map((bits, word) => bits & ~(others[word] ?? 0));
  while (rest.at(-1) === 0) rest.pop();
  return rest;
}

/** In ascending order. */
export function* indexesIn(set: IndexSet): Iterable<number> {
  for (const [word, bits] of set.entries()) {
    for (let rest = bits; rest !== 0; rest &= rest - 1) {
      yield word * 32 + 31 - Math.clz32(rest & -rest);
    }
  }
}
