/** The history of an execution: the latest entries in the head, older ones in blocks. */
import type { ExecutionKey } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import { mergedBlocks } from "./blocks.ts";
import type { Edit } from "./edit.ts";
import type { HistoryRecord, PartRef } from "./model.ts";
import type { Texts } from "./texts.ts";

const recentCharsMax = 2_048;

export const noHistory: HistoryRecord = { recent: [], blocks: [] };

function charsOf(entries: readonly string[]): number {
  return entries.reduce((sum, { length }) => sum + length, 0);
}

export async function appendHistory(
  edit: Edit,
  texts: Texts,
  entries: readonly JsonText[],
): Promise<void> {
  if (entries.length === 0) return;
  const { blocks, recent } = edit.record.history;
  const added = [...recent, ...entries];
  if (charsOf(added) <= recentCharsMax) {
    edit.change({ history: { recent: added, blocks } });
    return;
  }
  const count = mergedBlocks(blocks, charsOf(added));
  const kept = blocks.slice(0, blocks.length - count);
  const merged = blocks.slice(blocks.length - count);
  const refs = merged.map(({ ref }) => ref);
  const older = await texts.read(edit.key, refs);
  const all = [...older.flatMap((text) => JSON.parse(text) as string[]), ...added];
  for (const ref of refs) edit.drop(ref);
  const text = JSON.stringify(all);
  const ref = edit.text(text, 0) as PartRef;
  const block = { ref, count: all.length, chars: text.length };
  edit.change({ history: { recent: [], blocks: [...kept, block] } });
}

/** Entries with a sequence, from 1, above `after`. */
export async function readHistory(
  texts: Texts,
  key: ExecutionKey,
  { recent, blocks }: HistoryRecord,
  { after, limit }: { readonly after: number; readonly limit: number },
): Promise<readonly JsonText[]> {
  const found: JsonText[] = [];
  let first = 0;
  for (const { ref, count } of blocks) {
    if (first + count > after && found.length < limit) {
      const [text = "[]"] = await texts.read(key, [ref]);
      found.push(...(JSON.parse(text) as string[]).slice(Math.max(0, after - first)));
    }
    first += count;
  }
  found.push(...recent.slice(Math.max(0, after - first)));
  return found.slice(0, limit);
}
