/** Pages of lists, whatever index their rows come from. */
import type { ListAnswer, ListFilter, Listing, ListRequest } from "../store.ts";

/** Whether the execution equals all filters of a list, except where the list begins. */
export function matches(listing: Listing, filter: ListFilter): boolean {
  const { workflow, status, correlationId, parent, startedAfter } = filter;
  return (
    (workflow === undefined || listing.workflow === workflow) &&
    (status === undefined || listing.status === status) &&
    (correlationId === undefined || listing.correlationId === correlationId) &&
    (parent === undefined || listing.parent === parent) &&
    (startedAfter === undefined || listing.startedAt > startedAfter)
  );
}

/** Most executions that a list looks at. */
export function looksMax({ limit, lookMax = 0 }: ListRequest): number {
  return Math.max(limit, lookMax);
}

/**
 * The page that begins with the first row. Rows come newest first, from after the requested place,
 * and need not match all of the filter. `isWhole`: where they end, the list ends.
 */
export function pageOf(
  rows: Iterable<Listing>,
  request: ListRequest,
  { isWhole }: { readonly isWhole: boolean },
): ListAnswer {
  const items: Listing[] = [];
  let looked = 0;
  let last: Listing | undefined;
  const closed = () => {
    const { startedAt, id } = last as Listing;
    return { items, looked, reached: { startedAt, id } };
  };
  for (const row of rows) {
    const isFull = items.length >= request.limit || looked >= looksMax(request);
    if (looked > 0 && isFull) return closed();
    if (matches(row, request)) items.push(row);
    last = row;
    looked++;
  }
  return isWhole || looked === 0 ? { items, looked } : closed();
}
