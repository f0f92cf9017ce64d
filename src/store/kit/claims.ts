/** Claims that are repeated find what they were given, in stores that live in one process. */
import { BoundedMap } from "../../base/bounded-map.ts";

/** Claims remembered per kind, so that a claim repeated after an unknown outcome finds its own. */
export const claimsKept = 10_000;

/**
 * What recent claims gave, by claim id. Callers of an embedded store live in its process, so memory
 * is enough: who repeats a claim has not died since. Entries may be outdated; users check each.
 */
export class RecentClaims<Item> {
  readonly #items = new BoundedMap<string, readonly Item[]>(claimsKept);

  remember(partition: number, claimId: string, items: readonly Item[]): void {
    if (items.length === 0) return;
    this.#items.set(`${partition}/${claimId}`, items);
  }

  recall(partition: number, claimId: string): readonly Item[] {
    return this.#items.get(`${partition}/${claimId}`) ?? [];
  }
}
