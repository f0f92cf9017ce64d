/** What to do with hints that lead to nothing: see hints.ts. */
import type { Shelf } from "./driver.ts";
import { hintBody, keyOf, type PostedHint, putOffUntil, verdictOn } from "./hints.ts";
import type { Records } from "./records.ts";

/** Parts deleted in one call. */
const partsDroppedMax = 500;

export class Followers {
  readonly #records: Records;

  constructor(records: Records) {
    this.#records = records;
  }

  /** `version`: of the record that the hint is for; undefined: there is none. */
  async leadsToNothing(
    { shelf, hint }: { readonly shelf: Shelf; readonly hint: PostedHint },
    { version, now }: { readonly version: number | undefined; readonly now: number },
  ): Promise<void> {
    const key = keyOf(shelf.partition, hint);
    switch (verdictOn(hint, version, now)) {
      case "wait":
        return;
      case "put off":
        return await this.move(shelf, hint, putOffUntil(hint, now));
      case "fence":
        await this.#records.fence(key, now, hint.taskId);
        break;
      case "bury":
        await this.#dropParts(shelf.partition, hint);
        break;
      case "strike":
    }
    await this.#records.strike([{ shelf, place: hint.place }]);
  }

  /** Looked at again at a later moment. It is never off the shelf. */
  async move(shelf: Shelf, hint: PostedHint, at: number): Promise<void> {
    const place = { at, id: this.#records.ids.next() };
    const body = hintBody({ since: hint.place.at, ...hint });
    await this.#records.driver.shelves.post([{ shelf, entry: { place, body } }]);
    await this.#records.strike([{ shelf, place: hint.place }]);
  }

  async #dropParts(partition: number, hint: PostedHint): Promise<void> {
    if (hint.createdBy === undefined) return;
    const { aggregates } = this.#records.driver;
    const key = keyOf(partition, hint);
    const request = { key, prefix: `${hint.createdBy}/`, limit: partsDroppedMax };
    for (let names: readonly string[]; ; ) {
      names = await aggregates.listParts(request);
      if (names.length > 0) await aggregates.dropParts(key, names);
      if (names.length < partsDroppedMax) return;
    }
  }
}
