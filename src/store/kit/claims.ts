/** Claims that are repeated find what they were given, in stores that live in one process. */

/** Claims remembered per kind, so that a claim repeated after an unknown outcome finds its own. */
const claimsKept = 10_000;

/**
 * What recent claims gave, by claim id. Callers of an embedded store live in its process, so memory
 * is enough: who repeats a claim has not died since. Entries may be outdated; users check each.
 */
export class RecentClaims<Item> {
  readonly #items = new Map<string, readonly Item[]>();

  remember(partition: number, claimId: string, items: readonly Item[]): void {
    if (items.length === 0) return;
    const name = `${partition}/${claimId}`;
    this.#items.delete(name);
    this.#items.set(name, items);
    if (this.#items.size <= claimsKept) return;
    for (const oldest of this.#items.keys()) {
      this.#items.delete(oldest);
      return;
    }
  }

  recall(partition: number, claimId: string): readonly Item[] {
    return this.#items.get(`${partition}/${claimId}`) ?? [];
  }
}
