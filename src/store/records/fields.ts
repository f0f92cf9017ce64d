/**
 * Fields of data. Small ones that were written lately stand in the head; what does not fit there goes
 * into blocks, sorted by name, in which later entries hide earlier ones. A large field is a part, to
 * which its entry refers.
 */
import type { ExecutionKey } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import { compareText } from "../kit/order.ts";
import { mergedBlocks } from "./blocks.ts";
import type { Edit } from "./edit.ts";
import type { Block, Fields, PartRef, Text } from "./model.ts";
import type { Texts } from "./texts.ts";

/** Of a field that stands in the head or in a block. */
const inlineCharsMax = 256;
/** Of all that stand in the head. */
const recentCharsMax = 2_048;

export const noFields: Fields = { recent: new Map(), blocks: [] };

type Entries = Map<string, Text | null>;
/** As the text of a block holds it. */
type Entry = readonly [name: string, value: string | PartRef | null];

function readBlock(text: string): Entries {
  return new Map(JSON.parse(text) as readonly Entry[]);
}

function charsOf(entries: Entries): number {
  let chars = 0;
  for (const [name, value] of entries) {
    chars += name.length + (typeof value === "string" ? value.length : (value?.name.length ?? 0));
  }
  return chars;
}

/** Null deletes. What the new entries hide is dropped as far as it is known without reading. */
export async function writeFields(
  edit: Edit,
  texts: Texts,
  data: ReadonlyMap<string, JsonText | null>,
): Promise<void> {
  if (data.size === 0) return;
  const { fields } = edit.record;
  const recent: Entries = new Map(fields.recent);
  for (const [name, value] of data) {
    edit.drop(recent.get(name));
    recent.delete(name);
    if (value !== null) recent.set(name, edit.text(value, inlineCharsMax));
    else if (fields.blocks.length > 0) recent.set(name, null);
  }
  const isFull = charsOf(recent) > recentCharsMax;
  const next = { recent, blocks: fields.blocks };
  edit.change({ fields: isFull ? await spill(edit, texts, next) : next });
}

async function spill(
  edit: Edit,
  texts: Texts,
  fields: { readonly recent: Entries; readonly blocks: readonly Block[] },
): Promise<Fields> {
  const { recent, blocks } = fields;
  const count = mergedBlocks(blocks, charsOf(recent));
  const kept = blocks.slice(0, blocks.length - count);
  const merged = blocks.slice(blocks.length - count);
  const entries: Entries = new Map();
  const read = await texts.read(
    edit.key,
    merged.map(({ ref }) => ref),
  );
  for (const newer of [...read.map(readBlock), recent]) {
    for (const [name, value] of newer) {
      edit.drop(entries.get(name));
      entries.set(name, value);
    }
  }
  for (const { ref } of merged) edit.drop(ref);
  if (kept.length === 0) {
    for (const [name, value] of entries) if (value === null) entries.delete(name);
  }
  if (entries.size === 0) return { recent: new Map(), blocks: kept };
  const text = JSON.stringify([...entries].sort(([a], [b]) => compareText(a, b)));
  const ref = edit.text(text, 0) as PartRef;
  return {
    recent: new Map(),
    blocks: [...kept, { ref, count: entries.size, chars: text.length }],
  };
}

/** Those that are wanted and exist; absent: all. */
export async function readFields(
  texts: Texts,
  key: ExecutionKey,
  { recent, blocks }: Fields,
  wanted?: readonly string[],
): Promise<Map<string, JsonText>> {
  const found: Entries = new Map();
  const isMissing = (name: string) => !found.has(name);
  const take = (entries: ReadonlyMap<string, Text | null>) => {
    const names = wanted ?? [...entries.keys()];
    for (const name of names) {
      const value = entries.get(name);
      if (value !== undefined && isMissing(name)) found.set(name, value);
    }
  };
  take(recent);
  for (const { ref } of blocks.toReversed()) {
    if (wanted !== undefined && !wanted.some(isMissing)) break;
    const [text = "[]"] = await texts.read(key, [ref]);
    take(readBlock(text));
  }
  const present = [...found].filter((entry): entry is [string, Text] => entry[1] !== null);
  const values = await texts.read(
    key,
    present.map(([, value]) => value),
  );
  return new Map(present.map(([name], i) => [name, values[i] as string]));
}
