/**
 * A queue that is fair between groups: groups take turns, and within a group it is first in, first
 * out. A group with thousands of items delays another group's first item by one item, not thousands.
 */
export class Turns<Key, Item> {
  /** In the order of their turns; a group without items is absent. */
  readonly #groups = new Map<string, Map<Key, Item>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(group: string): boolean {
    return this.#groups.has(group);
  }

  /** An item whose key is present is replaced, and keeps its place. */
  put(group: string, key: Key, item: Item): void {
    let items = this.#groups.get(group);
    if (items === undefined) {
      items = new Map();
      this.#groups.set(group, items);
    }
    const { size } = items;
    items.set(key, item);
    this.#size += items.size - size;
  }

  /** Removes and returns the next item of a group that may have a turn; it goes behind the others. */
  take(may: (group: string) => boolean = () => true): Item | undefined {
    for (const [group, items] of this.#groups) {
      if (!may(group)) continue;
      this.#groups.delete(group);
      for (const [key, item] of items) {
        items.delete(key);
        this.#size -= 1;
        if (items.size > 0) this.#groups.set(group, items);
        return item;
      }
    }
    return undefined;
  }

  delete(group: string, key: Key): boolean {
    const items = this.#groups.get(group);
    if (items?.delete(key) !== true) return false;
    this.#size -= 1;
    if (items.size === 0) this.#groups.delete(group);
    return true;
  }

  clear(): void {
    this.#groups.clear();
    this.#size = 0;
  }
}
