/** The orders that all stores share: of text, of lists, of timers. */
import type { ListPlace, TimerPlace } from "../store.ts";

/** Surrogates sort after the rest of the basic plane, as their code points do. */
function codeUnitRank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

/** Order of code points, which is the order of UTF-8 bytes: what databases compare by. */
export function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = a.charCodeAt(i) - b.charCodeAt(i);
    if (difference !== 0) return codeUnitRank(a.charCodeAt(i)) - codeUnitRank(b.charCodeAt(i));
  }
  return a.length - b.length;
}

/** The last of all code points: with it a text comes after all others that begin with the text. */
export const lastCharacter = "\u{10ffff}";

/** Negative: `a` comes first in lists, which begin with the newest. */
export function comparePlaces(a: ListPlace, b: ListPlace): number {
  return b.startedAt - a.startedAt || compareText(b.id, a.id);
}

/** Negative: `a` is due first. */
export function compareTimers(a: TimerPlace, b: TimerPlace): number {
  return a.due - b.due || compareText(a.key.id, b.key.id) || compareText(a.id, b.id);
}
