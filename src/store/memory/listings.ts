/** Lists of executions in memory: each index holds its executions in order, the newest last. */
import { pageOf } from "../kit/lists.ts";
import { comparePlaces } from "../kit/order.ts";
import type { ListAnswer, ListFilter, Listing, ListPlace, ListRequest } from "../store.ts";

interface Listed {
  readonly listing: Listing;
}

/** What an execution is found by; each further field narrows the list. */
function indexName({ workflow, status, correlationId, parent }: ListFilter): string {
  return JSON.stringify([workflow, status, correlationId, parent]);
}

/** Filters with an index that holds exactly the executions that equal them. */
function indexedFilters(filter: ListFilter): readonly ListFilter[] {
  const { workflow, status, correlationId, parent } = filter;
  const isGiven = (value: string | undefined) => value !== undefined;
  return [
    {},
    ...(isGiven(workflow) ? [{ workflow }] : []),
    ...(isGiven(status) ? [{ status }] : []),
    ...(isGiven(workflow) && isGiven(status) ? [{ workflow, status }] : []),
    ...(isGiven(correlationId) ? [{ correlationId }] : []),
    ...(isGiven(parent) ? [{ parent }] : []),
  ] as readonly ListFilter[];
}

export class MemoryListings {
  readonly #indexes = new Map<string, Listed[]>();

  add(execution: Listed): void {
    for (const filter of indexedFilters(execution.listing)) {
      const name = indexName(filter);
      const index = this.#indexes.get(name) ?? [];
      this.#indexes.set(name, index);
      index.splice(positionOf(index, execution.listing), 0, execution);
    }
  }

  /** Before any change of its listing. */
  delete(execution: Listed): void {
    for (const filter of indexedFilters(execution.listing)) {
      const name = indexName(filter);
      const index = this.#indexes.get(name)!;
      index.splice(positionOf(index, execution.listing), 1);
      if (index.length === 0) this.#indexes.delete(name);
    }
  }

  list(request: ListRequest): ListAnswer {
    return pageOf(rowsOf(this.#smallest(request), request), request, { isWhole: true });
  }

  #smallest(request: ListRequest): readonly Listed[] {
    const found = indexedFilters(request).map((filter) => this.#indexes.get(indexName(filter)));
    return found.reduce<readonly Listed[]>(
      (best, index = []) => (index.length < best.length ? index : best),
      found[0] ?? [],
    );
  }
}

/** From after the requested place on, as far as the list may begin. */
function* rowsOf(index: readonly Listed[], request: ListRequest): Iterable<Listing> {
  const { after, startedAfter = Number.NEGATIVE_INFINITY } = request;
  const first = after === undefined ? index.length : positionOf(index, after);
  for (let position = first - 1; position >= 0; position--) {
    const { listing } = index[position]!;
    if (listing.startedAt <= startedAfter) return;
    yield listing;
  }
}

/** Of the execution in this place, or of the first that is newer. */
function positionOf(index: readonly Listed[], place: ListPlace): number {
  let low = 0;
  let high = index.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (comparePlaces(index[middle]!.listing, place) > 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
