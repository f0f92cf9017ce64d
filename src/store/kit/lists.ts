/** Pages of lists, whatever index their rows come from. */
import { defined } from "../../base/defined.ts";
import type { ExecutionStatus } from "../../model/execution.ts";
import type { ListAnswer, ListFilter, Listing, ListRequest } from "../store.ts";

/** A row of a list as SQL returns it. */
export interface ListingRow {
  readonly id: string;
  readonly workflow: string;
  readonly version: number;
  readonly status: ExecutionStatus;
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly correlationId: string | null;
  readonly parent: string | null;
  /** A number where the database has no booleans. */
  readonly isInline: boolean | number | null;
}

export function toListing(row: ListingRow): Listing {
  const { endedAt, correlationId, parent, isInline, ...always } = row;
  return {
    ...always,
    ...defined({
      endedAt: endedAt ?? undefined,
      correlationId: correlationId ?? undefined,
      parent: parent ?? undefined,
      inline: isInline ? (true as const) : undefined,
    }),
  };
}

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
