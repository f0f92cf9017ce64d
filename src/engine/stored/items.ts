/**
 * What becomes of the items of a map, as it is stored. A commit that is about one item writes little,
 * however many there are:
 *
 *     items:<action>:<chunk>          the items, cut once when the map starts
 *     item-records:<action>:<chunk>   a record for each item that has begun, as actions have it, and as
 *                                     its last member `o` the result or failure that has ended it
 *     item-outcome:<action>:<item>    that result or failure, where it is long
 *
 * The output is `results` in the order of the items, null where one failed, and `failures`. One that
 * fits a payload is stored when the map ends, as any other output; a larger one is put together where
 * it is read, and what is stored counts its items.
 */
import {
  type ActionRecord,
  type ActionStatus,
  actionStatuses,
  type MapProgress,
} from "../../model/execution.ts";
import { fields } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import { readRecord, type StoredRecord, writeRecord } from "./state.ts";

/** Records in one field. */
export const chunkItems = 16;

/** Fields that the items of one map are cut into, or fewer: a store has only so many in one commit. */
const itemFieldsMax = 100;
const itemsPerFieldMin = 64;

/** A longer result or failure has its own field. */
const outcomeCharsInline = 256;

export const nothingDone: MapProgress = {
  count: 0,
  next: 0,
  reached: 0,
  open: 0,
  completed: 0,
  failed: 0,
  chunks: [],
  chars: '{"results":[],"failures":[]}'.length,
  failures: [],
};

/** How the texts of records begin that are open: looking at that is much faster than reading them. */
const openMarks = [markOf("SCHEDULED"), markOf("WAITING"), markOf("RETRYING")];
const completedMark = markOf("COMPLETED");

function markOf(status: ActionStatus): string {
  return `{"s":${actionStatuses.indexOf(status)},`;
}

/** Where the outcome begins: before it, what callers wrote is inside of strings. */
const outcomeMark = ',"o":';

export function itemsPerField(count: number): number {
  return Math.max(itemsPerFieldMin, Math.ceil(count / itemFieldsMax));
}

export function recordChunkOf(item: number): number {
  return Math.floor(item / chunkItems);
}

export function isOpenText(text: JsonText): boolean {
  return openMarks.some((mark) => text.startsWith(mark));
}

export function isCompletedText(text: JsonText): boolean {
  return text.startsWith(completedMark);
}

export function isInline(outcome: JsonText): boolean {
  return outcome.length <= outcomeCharsInline;
}

/** `outcome`: what stands in the record of an item that has ended. */
export function writeItemRecord(
  record: ActionRecord,
  startedAt: number,
  outcome?: JsonText,
): JsonText {
  const text = writeRecord(record, startedAt);
  return outcome === undefined ? text : `${text.slice(0, -1)}${outcomeMark}${outcome}}`;
}

/** Undefined for an item that has not begun. */
export function readItemRecord(
  text: JsonText | undefined,
  startedAt: number,
): ActionRecord | undefined {
  if (text === undefined || text === "null") return undefined;
  const { o: _outcome, ...stored } = JSON.parse(text) as StoredRecord & { readonly o?: unknown };
  return readRecord(stored as StoredRecord, startedAt);
}

/** The result or failure that stands in a record. */
export function outcomeIn(text: JsonText): JsonText | undefined {
  const at = text.indexOf(outcomeMark);
  return at < 0 ? undefined : text.slice(at + outcomeMark.length, -1);
}

/** Names of the fields with the records of a map's open items. */
export function openRecordFields(key: string, { chunks }: MapProgress): readonly string[] {
  return chunks.map((chunk) => fields.itemRecords(key, chunk));
}

/** A map that has ended, and its fields. */
export interface EndedMap {
  readonly key: string;
  readonly progress: MapProgress;
  readonly elementsOf: (field: string) => readonly JsonText[];
}

/** Names of the fields that hold the items. */
export function itemFields(key: string, count: number): readonly string[] {
  return Array.from({ length: Math.ceil(count / itemsPerField(count)) }, (_, chunk) =>
    fields.items(key, chunk),
  );
}

export function allRecordFields(
  key: string,
  { count }: Pick<MapProgress, "count">,
): readonly string[] {
  return Array.from({ length: Math.ceil(count / chunkItems) }, (_, chunk) =>
    fields.itemRecords(key, chunk),
  );
}

/** Names of the fields with outcomes that are too long to stand in the records. */
export function longOutcomeFields({ key, progress, elementsOf }: EndedMap): readonly string[] {
  return allRecordFields(key, progress).flatMap((field, chunk) =>
    elementsOf(field).flatMap((text, place) =>
      outcomeIn(text) === undefined ? [fields.itemOutcome(key, chunk * chunkItems + place)] : [],
    ),
  );
}

export function wholeOutput(
  { key, progress, elementsOf }: EndedMap,
  read: (field: string) => JsonText | undefined,
): JsonText {
  const results: JsonText[] = [];
  const failures: JsonText[] = [];
  for (const field of allRecordFields(key, progress)) {
    for (const text of elementsOf(field)) {
      const index = results.length;
      const outcome = outcomeIn(text) ?? read(fields.itemOutcome(key, index)) ?? "null";
      const isCompleted = isCompletedText(text);
      results.push(isCompleted ? outcome : "null");
      if (!isCompleted) failures.push(`{"index":${index},"error":${outcome}}`);
    }
  }
  return `{"results":[${results.join(",")}],"failures":[${failures.join(",")}]}`;
}
