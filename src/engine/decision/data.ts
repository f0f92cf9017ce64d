/** The part of a draft that reads and writes the data of its execution, field by field. */
import { elementsOf } from "../../language/data/json-text.ts";
import type { JsonText } from "../../model/json.ts";
import { Effects } from "./effects.ts";

/** Thrown inside the engine, caught by `decide`: these fields must be loaded first. */
export class MissingData extends Error {
  readonly need: readonly string[];
  constructor(need: readonly string[]) {
    super("data must be loaded");
    this.need = need;
  }
}

export class DraftData extends Effects {
  readonly #loaded: ReadonlyMap<string, JsonText>;
  protected readonly writtenFields = new Map<string, JsonText | null>();
  protected readonly forgotten: string[] = [];
  /** Fields that hold arrays, taken apart, and those of them that have changed. */
  #entries: Map<string, JsonText[]> | undefined;
  #changedEntries: Set<string> | undefined;

  constructor(loaded: ReadonlyMap<string, JsonText>) {
    super();
    this.#loaded = loaded;
  }

  read(field: string): JsonText | undefined {
    if (this.#changedEntries?.has(field)) return arrayOf(this.#entries!.get(field)!);
    const written = this.writtenFields.get(field);
    if (written !== undefined) return written ?? undefined;
    return this.#loaded.get(field);
  }

  write(field: string, text: JsonText | null): void {
    this.writtenFields.set(field, text);
    this.weigh(field.length + (text?.length ?? 0));
    this.changed = true;
  }

  /** Throws MissingData where it has not been loaded, as do the next ones. */
  requireField(field: string): JsonText {
    const text = this.read(field);
    if (text === undefined) throw new MissingData([field]);
    return text;
  }

  requireFields(fields: readonly string[]): void {
    const missing = fields.filter((field) => this.read(field) === undefined);
    if (missing.length > 0) throw new MissingData(missing);
  }

  /** Texts of the elements of a field that holds an array; of one that `isNew` there are none. */
  entries(field: string, isNew = false): readonly JsonText[] {
    return this.#mutableEntries(field, isNew);
  }

  #mutableEntries(field: string, isNew = false): JsonText[] {
    let entries = this.#entries?.get(field);
    if (entries !== undefined) return entries;
    entries = isNew ? [] : elementsOf(this.requireField(field))!;
    this.#entries ??= new Map();
    this.#entries.set(field, entries);
    return entries;
  }

  /** Its neighbours are written with it: the field should be small. */
  setEntry(field: string, place: number, text: JsonText): void {
    const entries = this.#mutableEntries(field);
    while (entries.length < place) entries.push("null");
    entries[place] = text;
    this.#changedEntries ??= new Set();
    if (!this.#changedEntries.has(field)) {
      this.#changedEntries.add(field);
      this.weigh(entries.reduce((sum, entry) => sum + entry.length, field.length));
    }
    this.weigh(text.length);
    this.changed = true;
  }

  /** How many fields it writes. */
  protected get fieldCount(): number {
    return this.writtenFields.size + (this.#changedEntries?.size ?? 0);
  }

  /** After the commit this field is not kept in memory. */
  forget(field: string): void {
    this.forgotten.push(field);
  }

  protected finishEntries(): void {
    for (const field of this.#changedEntries ?? []) {
      this.writtenFields.set(field, arrayOf(this.#entries!.get(field)!));
    }
  }
}

function arrayOf(entries: readonly JsonText[]): JsonText {
  return `[${entries.join(",")}]`;
}
