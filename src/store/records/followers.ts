/** How claims follow hints, and what to do with those that lead to nothing: see hints.ts. */
import { defined } from "../../base/defined.ts";
import { faultOutcome } from "../store.ts";
import type { Place, Shelf } from "./driver.ts";
import { hintBody, keyOf, type PostedHint, putOffUntil, readHint, verdictOn } from "./hints.ts";
import type { Group } from "./model.ts";
import type { Records } from "./records.ts";

/** Hints followed by one claim, beyond those that it gives. */
const followedMore = 100;
/** Pages of a shelf that one claim looks at. */
const pagesMax = 20;
/** A hint that cannot be followed now is followed again after this time. */
const againMs = 1_000;
/** Parts deleted in one call. */
const partsDroppedMax = 500;

interface Looking {
  readonly limit: number;
  readonly now: number;
}

interface Looked {
  readonly hints: readonly PostedHint[];
  readonly due: readonly PostedHint[];
  readonly later: number | undefined;
}

export class Followers {
  readonly #records: Records;

  constructor(records: Records) {
    this.#records = records;
  }

  /** Hints on a shelf, those that are due apart, and when what is not followed now is due. */
  async look(shelf: Shelf, { limit, now }: Looking, after?: Place): Promise<Looked> {
    const request = { shelf, limit: limit + followedMore + 1, ...defined({ after }) };
    const page = await this.#records.driver.shelves.scan(request);
    const hints = page.entries.map(readHint);
    const due = hints.filter(({ place }) => place.at <= now);
    const later = hints[due.length]?.place.at ?? (page.more ? now : undefined);
    return { hints, due, later };
  }

  /**
   * Follows what is due, and goes on behind it while nothing comes of it: a crash may have left many
   * hints that lead to nothing, and that may not be struck yet.
   */
  async followDue<Followed>(
    shelf: Shelf,
    looked: Looked,
    request: Looking,
    {
      follow,
      isBarren,
    }: {
      readonly follow: (due: readonly PostedHint[]) => Promise<readonly Followed[]>;
      readonly isBarren: (followed: Followed) => boolean;
    },
  ): Promise<{ readonly followed: readonly Followed[]; readonly later: number | undefined }> {
    const followed = [...(await follow(looked.due))];
    let { due, later } = looked;
    for (let pages = 1; pages < pagesMax && followed.every(isBarren); pages++) {
      const last = due.at(-1);
      if (later === undefined || later > request.now || last === undefined) break;
      ({ due, later } = await this.look(shelf, request, last.place));
      followed.push(...(await follow(due)));
    }
    return { followed, later };
  }

  /** Of executions whose hints all lead to the head: they are read together. */
  async heads(
    partition: number,
    together: readonly (readonly PostedHint[])[],
  ): Promise<ReadonlyMap<readonly PostedHint[], Group>> {
    const inHeads = together.filter((some) => some.every(({ taskId }) => taskId === undefined));
    const keys = inHeads.map((some) => keyOf(partition, some[0] as PostedHint));
    const heads = keys.length === 0 ? [] : await this.#records.readHeads(keys);
    return new Map(inHeads.map((some, i) => [some, heads[i] as Group]));
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

/**
 * What came of the hints of several executions. Throws what failed where nothing came, or where it is
 * no fault of the database; otherwise the rest is followed again soon, which is `again`.
 */
export async function followedOf<Followed>(
  following: readonly Promise<Followed>[],
  again: (nextDue: number) => Followed,
  now: number,
): Promise<readonly Followed[]> {
  const settled = await Promise.allSettled(following);
  const failed = settled.find((one) => one.status === "rejected");
  const followed = settled.flatMap((one) => (one.status === "fulfilled" ? one.value : []));
  if (failed === undefined) return followed;
  if (followed.length === 0 || faultOutcome(failed.reason) === "error") throw failed.reason;
  return [...followed, again(now + againMs)];
}
