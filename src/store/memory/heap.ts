/** A binary heap that can also delete from its middle: queues and due items of the memory store. */

export class Heap<Item> {
  readonly #before: (a: Item, b: Item) => boolean;
  readonly #items: Item[] = [];
  readonly #positions = new Map<Item, number>();

  constructor(before: (a: Item, b: Item) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#items.length;
  }

  has(item: Item): boolean {
    return this.#positions.has(item);
  }

  first(): Item | undefined {
    return this.#items[0];
  }

  add(item: Item): void {
    if (this.#positions.has(item)) throw new Error("the heap holds this item already");
    this.#place(item, this.#items.length);
    this.#rise(this.#items.length - 1);
  }

  /** What an item is ordered by must not change while it is in the heap: delete, change, add. */
  delete(item: Item): void {
    const position = this.#positions.get(item);
    if (position === undefined) return;
    this.#positions.delete(item);
    const last = this.#items.pop() as Item;
    if (position === this.#items.length) return;
    this.#place(last, position);
    this.#rise(position);
    this.#sink(this.#positions.get(last) as number);
  }

  /** The first items in order, without removing them. */
  peek(count: number): readonly Item[] {
    const taken: Item[] = [];
    while (taken.length < count && this.#items.length > 0) {
      const item = this.#items[0] as Item;
      this.delete(item);
      taken.push(item);
    }
    for (const item of taken) this.add(item);
    return taken;
  }

  #place(item: Item, position: number): void {
    this.#items[position] = item;
    this.#positions.set(item, position);
  }

  #swap(a: number, b: number): void {
    const item = this.#items[a] as Item;
    this.#place(this.#items[b] as Item, a);
    this.#place(item, b);
  }

  #isBefore(a: number, b: number): boolean {
    return this.#before(this.#items[a] as Item, this.#items[b] as Item);
  }

  #rise(start: number): void {
    let position = start;
    while (position > 0) {
      const parent = (position - 1) >> 1;
      if (!this.#isBefore(position, parent)) return;
      this.#swap(position, parent);
      position = parent;
    }
  }

  #sink(start: number): void {
    let position = start;
    for (;;) {
      let smallest = position;
      for (const child of [2 * position + 1, 2 * position + 2]) {
        if (child < this.#items.length && this.#isBefore(child, smallest)) smallest = child;
      }
      if (smallest === position) return;
      this.#swap(position, smallest);
      position = smallest;
    }
  }
}
