/** The items of one map and their records, in a decision: see stored/items.ts. */

import { limits } from "../../../base/limits.ts";
import type { PlanAction } from "../../../language/kinds/table.ts";
import type { ActionRecord, MapProgress } from "../../../model/execution.ts";
import { fields } from "../../../model/ids.ts";
import type { JsonText } from "../../../model/json.ts";
import type { Draft } from "../../decision/draft.ts";
import {
  allRecordFields,
  chunkItems,
  isInline,
  isOpenText,
  itemsPerField,
  longOutcomeFields,
  outcomeIn,
  readItemRecord,
  recordChunkOf,
  wholeOutput,
  writeItemRecord,
} from "../../stored/items.ts";

const pending: ActionRecord = { status: "PENDING" };

export class MapRecords {
  readonly draft: Draft;
  readonly #action: PlanAction;

  constructor(draft: Draft, action: PlanAction) {
    this.draft = draft;
    this.#action = action;
  }

  get progress(): MapProgress {
    return this.draft.record(this.#action.index).items!;
  }

  change(change: Partial<MapProgress>): void {
    const { index } = this.#action;
    const record = this.draft.record(index);
    this.draft.setRecord(index, { ...record, items: { ...record.items!, ...change } });
  }

  /** Stores the items of a map that begins. */
  cut(items: readonly JsonText[]): void {
    const size = itemsPerField(items.length);
    for (let from = 0, chunk = 0; from < items.length; from += size, chunk++) {
      const text = `[${items.slice(from, from + size).join(",")}]`;
      const field = fields.items(this.#action.key, chunk);
      this.draft.write(field, text);
      if (chunk > 0) this.draft.forget(field);
    }
  }

  item(index: number): JsonText {
    const { count, next } = this.progress;
    const size = itemsPerField(count);
    const chunk = Math.floor(index / size);
    const field = fields.items(this.#action.key, chunk);
    // Of use for longer than this decision are only those that are about to begin.
    const isLast = (index + 1) % size === 0 || index + 1 === count;
    if (isLast || chunk !== Math.floor(next / size)) this.draft.forget(field);
    return this.draft.entries(field)[index % size]!;
  }

  record(index: number): ActionRecord {
    if (index >= this.progress.reached) return pending;
    const texts = this.texts(recordChunkOf(index));
    return readItemRecord(texts[index % chunkItems], this.draft.state.startedAt) ?? pending;
  }

  /** `outcome`: the result or failure of one that ends. */
  setRecord(index: number, record: ActionRecord, outcome?: JsonText): void {
    const chunk = recordChunkOf(index);
    const inline = outcome !== undefined && isInline(outcome) ? outcome : undefined;
    const text = writeItemRecord(record, this.draft.state.startedAt, inline);
    this.texts(chunk);
    this.draft.setEntry(this.#field(chunk), index % chunkItems, text);
    if (outcome !== undefined && inline === undefined) {
      const field = fields.itemOutcome(this.#action.key, index);
      this.draft.write(field, outcome);
      this.draft.forget(field);
    }
    if (index >= this.progress.reached) this.change({ reached: index + 1 });
    this.#keepOpen(chunk, isOpenText(text));
  }

  /** Notes which chunks hold open items; the others need not be in memory. */
  #keepOpen(chunk: number, holdsOpen: boolean): void {
    const { chunks, next } = this.progress;
    const isKept = chunks.includes(chunk);
    if (holdsOpen && !isKept) this.change({ chunks: [...chunks, chunk] });
    if (holdsOpen || this.texts(chunk).some(isOpenText)) return;
    if (isKept) this.change({ chunks: chunks.filter((one) => one !== chunk) });
    if (recordChunkOf(next) !== chunk) this.draft.forget(this.#field(chunk));
  }

  /** The result or failure of an item that has ended. Throws MissingData. */
  outcome(index: number): JsonText {
    const text = this.texts(recordChunkOf(index))[index % chunkItems]!;
    return outcomeIn(text) ?? this.draft.requireField(fields.itemOutcome(this.#action.key, index));
  }

  /** The record of such an item is about to be replaced: what it has beside it goes. */
  dropOutcome(index: number): void {
    const text = this.texts(recordChunkOf(index))[index % chunkItems]!;
    if (outcomeIn(text) !== undefined) return;
    this.draft.write(fields.itemOutcome(this.#action.key, index), null);
  }

  /** Texts of the records of one chunk, as far as there are any. Throws MissingData. */
  texts(chunk: number): readonly JsonText[] {
    // Where none of its items has begun so far, there is no such field.
    const isNew = chunk * chunkItems >= this.progress.reached;
    return this.draft.entries(this.#field(chunk), isNew);
  }

  #field(chunk: number): string {
    return fields.itemRecords(this.#action.key, chunk);
  }

  /** The output, if it fits a payload. Throws MissingData. */
  output(): JsonText | undefined {
    const { progress, draft } = this;
    if (progress.chars > limits.payloadBytesMax) return undefined;
    const names = allRecordFields(this.#action.key, progress);
    draft.requireFields(names);
    const elementsOf = (field: string) => draft.entries(field);
    const ended = { key: this.#action.key, progress, elementsOf };
    const long = longOutcomeFields(ended);
    draft.requireFields(long);
    for (const name of [...names, ...long]) draft.forget(name);
    const text = wholeOutput(ended, (field) => draft.read(field));
    return Buffer.byteLength(text) > limits.payloadBytesMax ? undefined : text;
  }
}
