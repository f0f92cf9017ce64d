/**
 * When lists that grow are merged: what is new goes into a block, together with the latest blocks that
 * are hardly larger, so that few blocks stay and an entry is written few times.
 */
import type { Block } from "./model.ts";

/** Larger ones are left alone. */
const mergedCharsMax = 256 * 1024;

/** How many of the latest blocks are merged with what is added. */
export function mergedBlocks(blocks: readonly Block[], added: number): number {
  let chars = added;
  let merged = 0;
  for (const block of blocks.toReversed()) {
    const sum = chars + block.chars;
    if (block.chars > 2 * chars || sum > mergedCharsMax) break;
    chars = sum;
    merged += 1;
  }
  return merged;
}
