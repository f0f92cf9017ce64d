/**
 * Arithmetic that every store shares, so that they cannot drift apart: how long a lease lasts, how
 * text is ordered, and how claims are remembered. No state of the store itself is kept here.
 */
import type { ListFilter, Listing, ListPlace } from "./store.ts";

/** Most rows that one call of `remove` deletes; what is left is deleted by further calls. */
export const removeRowsMax = 500;

/** Ended tombstones purged by one claimDue; while more are left, it requests another call. */
export const purgedPerClaim = 100;

/** Ended tombstones purged by each removal: they go faster than they come. */
export const purgedPerRemoval = 2;

/** Claims remembered per kind, so that a claim repeated after an unknown outcome finds its own. */
export const claimsKept = 10_000;

export interface LeaseTerms {
  readonly heartbeatMs: number;
  readonly leaseUntil: number;
  readonly deadline: number;
}

/** The task's own heartbeat wins over the worker's; without either, the lease is the attempt. */
export function leaseTerms(
  task: { readonly timeoutMs: number; readonly heartbeatMs: number },
  worker: { readonly heartbeatMs: number; readonly now: number },
): LeaseTerms {
  const heartbeatMs = task.heartbeatMs > 0 ? task.heartbeatMs : worker.heartbeatMs;
  const deadline = worker.now + task.timeoutMs;
  const leaseUntil = heartbeatMs > 0 ? Math.min(worker.now + heartbeatMs, deadline) : deadline;
  return { heartbeatMs, leaseUntil, deadline };
}

/** Never shortens, never passes the deadline. */
export function extendedUntil(
  lease: { readonly leaseUntil: number; readonly deadline: number },
  until: number,
): number {
  return Math.max(lease.leaseUntil, Math.min(until, lease.deadline));
}

/** What is left of a queue timeout that stops now: it counts only while the task is on offer. */
export function queueTimeLeft(queueUntil: number | null, now: number): number | null {
  return queueUntil === null ? null : Math.max(0, queueUntil - now);
}

/** Surrogates sort after the rest of the basic plane, as their code points do. */
function codeUnitRank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

/** Order of code points, which is the order of UTF-8 bytes: what databases compare by. */
export function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = a.charCodeAt(i) - b.charCodeAt(i);
    if (difference !== 0) return codeUnitRank(a.charCodeAt(i)) - codeUnitRank(b.charCodeAt(i));
  }
  return a.length - b.length;
}

/** Negative: `a` comes first in lists, which begin with the newest. */
export function comparePlaces(a: ListPlace, b: ListPlace): number {
  return b.startedAt - a.startedAt || compareText(b.id, a.id);
}

/** Whether the execution equals all filters of a list, except where the list begins. */
export function matches(listing: Listing, filter: ListFilter): boolean {
  const { workflow, status, correlationId, startedAfter } = filter;
  return (
    (workflow === undefined || listing.workflow === workflow) &&
    (status === undefined || listing.status === status) &&
    (correlationId === undefined || listing.correlationId === correlationId) &&
    (startedAfter === undefined || listing.startedAt > startedAfter)
  );
}

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
