/** What a store still holds when everything has ended, once it has had its time to leave. */
import type { Ledger } from "./ledger.ts";

/** Leases of what was cancelled leave with their last moment; removals are done in portions. */
const patienceMs = 40_000;
const shownMax = 10;

/** `look` returns what should not be there. */
export async function checkNothingLeft(
  store: string,
  ledger: Ledger,
  look: () => Promise<readonly string[]>,
): Promise<void> {
  const giveUpAt = performance.now() + patienceMs;
  let left = await look();
  while (left.length > 0 && performance.now() < giveUpAt) {
    await Bun.sleep(1_000);
    left = await look();
  }
  for (const one of left.slice(0, shownMax)) ledger.violate(`left in ${store}: ${one}`);
  if (left.length > shownMax) ledger.violate(`and ${left.length - shownMax} more like it`);
}
