/** Calls that name thousands of things: a few at a time, so that others get their turn in between. */
import { type Clock, within } from "../../base/clock.ts";

/** Tokens of one call that are handled before other calls have their turn. */
export const tokensPerBatch = 128;

/** A batch that takes longer, as a part of the store is away, does not keep the next ones waiting. */
const batchMs = 20;

/** Rejects after all batches, if any has failed. */
export async function inBatches<Item>(
  items: readonly Item[],
  clock: Clock,
  work: (batch: readonly Item[]) => Promise<unknown>,
): Promise<void> {
  const size = tokensPerBatch;
  const batches: Promise<unknown>[] = [];
  for (let at = 0; at < items.length; at += size) {
    const batch = work(items.slice(at, at + size));
    batches.push(batch);
    const isDone = batch.catch(() => {});
    if (at + size >= items.length) break;
    await within(batchMs, isDone, clock);
    await new Promise<void>((resolve) => clock.soon(resolve));
  }
  const failed = (await Promise.allSettled(batches)).find(({ status }) => status === "rejected");
  if (failed?.status === "rejected") throw failed.reason;
}
