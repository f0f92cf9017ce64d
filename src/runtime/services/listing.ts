/** Lists of executions, newest first, over all partitions. */

import { type Clock, pause } from "../../base/clock.ts";
import { defined } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import { comparePlaces } from "../../store/kit/order.ts";
import type { ListFilter, Listing, ListPlace, Store } from "../../store/store.ts";
import { Gate } from "../shared/gate.ts";
import type { ListExecutions, Page } from "../shared/orchestrator.ts";

/** Shortest pause of a list. */
const listPauseMs = 2;
/** Length of the pause, in multiples of the time that reading took. */
const listRestShare = 3;
/** Longest pause of a list. */
const listPauseMsMax = 20;
/** Executions that one call of the store reads for a list. */
export const listLookMax = 40;
/** Partitions that a list reads at once before it pauses. */
export const listedPartitionsMax = 16;

/** How far a partition has been read. */
interface Part {
  readonly partition: number;
  /** Up to here all is found; undefined: nothing has been read. */
  reached: ListPlace | undefined;
  isOver: boolean;
}

export class Lists {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #gate = new Gate(limits.listsAtOnceMax);

  constructor({ store, clock }: { readonly store: Store; readonly clock: Clock }) {
    this.#store = store;
    this.#clock = clock;
  }

  page(request: ListExecutions, abort?: AbortSignal): Promise<Page<Listing>> {
    return this.#gate.pass(() => this.#page(request), abort);
  }

  /**
   * Each partition is read as far as the page is likely to need it, and further only where it may
   * hold something newer than what the others have given.
   */
  async #page(request: ListExecutions): Promise<Page<Listing>> {
    const { partitions } = this.#store;
    const start = firstPlace(request);
    const parts = Array.from({ length: partitions }, (_, partition): Part => {
      return { partition, reached: start, isOver: false };
    });
    const found: Listing[] = [];
    let behind: readonly Part[] = parts;
    for (let looked = 0; ; ) {
      looked += await this.#read(behind, request, found);
      found.sort(comparePlaces);
      const open = parts.filter(({ isOver }) => !isOver);
      const horizon = newestOf(open);
      const isSure = (place: ListPlace) => !isNewer(horizon, place);
      const last = found[request.limit - 1];
      if (last !== undefined && isSure(last)) return pageOf(found, request.limit, horizon);
      if (horizon === undefined) return { items: found };
      if (looked >= limits.listPageLookMax) {
        const items = found.filter(isSure);
        return { items, cursor: encodeCursor(horizon), incomplete: true };
      }
      behind = last === undefined ? open : open.filter(({ reached }) => isNewer(reached, last));
    }
  }

  /** Returns how many executions were looked at. */
  async #read(parts: readonly Part[], request: ListExecutions, found: Listing[]): Promise<number> {
    const few = likelyShare(request.limit, this.#store.partitions);
    const filter = filterOf(request);
    let looked = 0;
    for (let first = 0; first < parts.length; first += listedPartitionsMax) {
      const beganAt = this.#clock.now();
      const some = parts.slice(first, first + listedPartitionsMax);
      const answers = await Promise.all(
        some.map(({ partition, reached: after }) =>
          this.#store.list({
            ...filter,
            partition,
            limit: few,
            lookMax: listLookMax,
            ...defined({ after }),
          }),
        ),
      );
      for (const [i, part] of some.entries()) {
        const answer = answers[i]!;
        found.push(...answer.items.filter((item) => isListed(item, request)));
        looked += answer.looked;
        part.isOver = answer.reached === undefined;
        part.reached = answer.reached;
      }
      // Where others have work to do, this takes longer, and so leaves them more time.
      const restMs = listRestShare * (this.#clock.now() - beganAt);
      if (parts.length > listedPartitionsMax) {
        await pause(Math.max(listPauseMs, Math.min(restMs, listPauseMsMax)), this.#clock);
      }
    }
    return looked;
  }
}

/** What an inline definition runs is a part of its parent, and listed by that alone. */
function isListed({ inline }: Listing, { parent }: ListExecutions): boolean {
  return inline !== true || parent !== undefined;
}

/** Of the rows of a page, most partitions hold no more than that: their mean, and some more. */
function likelyShare(limit: number, partitions: number): number {
  const mean = limit / partitions;
  return Math.min(limit, Math.ceil(mean + Math.sqrt(mean)));
}

function filterOf(request: ListExecutions): ListFilter {
  const { workflow, status, correlationId, parent, startedAfter } = request;
  return defined({ workflow, status, correlationId, parent, startedAfter });
}

function newestOf(parts: readonly Part[]): ListPlace | undefined {
  let newest: ListPlace | undefined;
  for (const { reached } of parts) {
    if (newest === undefined || isNewer(reached, newest)) newest = reached;
  }
  return newest;
}

function isNewer(a: ListPlace | undefined, b: ListPlace): boolean {
  return a !== undefined && comparePlaces(a, b) < 0;
}

function pageOf(
  found: readonly Listing[],
  limit: number,
  horizon: ListPlace | undefined,
): Page<Listing> {
  const items = found.slice(0, limit);
  if (horizon === undefined && found.length === limit) return { items };
  return { items, cursor: encodeCursor(items.at(-1)!) };
}

function firstPlace(request: ListExecutions): ListPlace | undefined {
  if (request.cursor !== undefined) return decodeCursor(request.cursor);
  if (request.startedBefore === undefined) return undefined;
  return { startedAt: request.startedBefore, id: "" };
}

function encodeCursor({ startedAt, id }: ListPlace): string {
  return Buffer.from(JSON.stringify([startedAt, id])).toString("base64url");
}

/** Undefined for an invalid cursor, which the edge refuses before. */
export function decodeCursor(text: string): ListPlace | undefined {
  try {
    const [startedAt, id] = JSON.parse(Buffer.from(text, "base64url").toString());
    return typeof startedAt === "number" && typeof id === "string" ? { startedAt, id } : undefined;
  } catch {
    return undefined;
  }
}
