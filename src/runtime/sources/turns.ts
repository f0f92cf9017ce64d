/** Work by groups: of each group one piece at a time, in the order in which it was brought. */
export class Turns {
  /** By group: what was brought last. */
  readonly #last = new Map<string, Promise<unknown>>();

  /** Without a group it has no turn to wait for. `work` throws nothing. */
  async take<Result>(group: string | undefined, work: () => Promise<Result>): Promise<Result> {
    if (group === undefined) return work();
    const own = (this.#last.get(group) ?? Promise.resolve()).then(work);
    this.#last.set(group, own);
    const result = await own;
    if (this.#last.get(group) === own) this.#last.delete(group);
    return result;
  }
}
