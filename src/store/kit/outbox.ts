/** Which messages a claim of the outbox is given. */

interface Message {
  /** Its source. */
  readonly execution: unknown;
  readonly visibleAt: number;
}

/**
 * In order per source: a hidden message holds back what its source sent after it. `messages` are
 * those of a partition in the order of sending; those that the claim was given before are passed
 * over. Ends at the first visible one beyond the limit: that one is due now.
 */
export function claimableMessages<One extends Message>(
  messages: Iterable<One>,
  request: {
    readonly limit: number;
    readonly now: number;
    readonly isGiven: (message: One) => boolean;
  },
): { readonly claimable: readonly One[]; readonly nextDue: number | undefined } {
  const { limit, now, isGiven } = request;
  const blocked = new Set<unknown>();
  const claimable: One[] = [];
  let nextDue: number | undefined;
  for (const message of messages) {
    const { execution, visibleAt } = message;
    if (isGiven(message) || blocked.has(execution)) continue;
    const isVisible = visibleAt <= now;
    if (isVisible && claimable.length < limit) {
      claimable.push(message);
      continue;
    }
    nextDue = Math.min(nextDue ?? visibleAt, visibleAt);
    if (isVisible) break;
    blocked.add(execution);
  }
  return { claimable, nextDue };
}
