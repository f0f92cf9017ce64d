/** The nearest known name to a misspelt one, for "did you mean". */
import { distance } from "fastest-levenshtein";

/** Longer names are near nothing, and comparing them takes time. */
const charsMax = 200;

/** Letter case does not count. Undefined when nothing is near enough to be meant. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  if (name.length > charsMax) return undefined;
  const sought = name.toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(sought.length / 3)) + 1;
  for (const candidate of known) {
    const found = distance(sought, candidate.toLowerCase());
    if (found >= bestDistance) continue;
    best = candidate;
    bestDistance = found;
  }
  return best;
}
