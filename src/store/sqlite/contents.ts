/**
 * What grows of an execution: the fields of its data, and its history. Small pieces are appended to
 * its row of `states`, which every commit writes anyway, as a log: a later entry for a field counts
 * more than an earlier one, and more than the table `fields`. When the log is full, or a piece is
 * large, everything moves on to the tables.
 *
 * An entry is `<kind><length of name>,<length of value>:<name><value>`; lengths in UTF-16 units.
 */
import type { Database } from "bun:sqlite";
import type { JsonText } from "../../model/json.ts";
import { compareText } from "../kit/order.ts";
import type { HeadRow } from "./heads.ts";
import { historyKey, historySequenceMax } from "./schema.ts";

/** Longest log of one row, in characters: beyond that the row would cost more than two of others. */
const logCharsMax = 2_048;

interface Entry {
  readonly kind: "set" | "delete" | "history";
  readonly name: string;
  readonly value: string;
}

const letters = { set: "s", delete: "d", history: "h" } as const;
const kinds: Readonly<Record<string, Entry["kind"]>> = { s: "set", d: "delete", h: "history" };

function writeEntry(kind: Entry["kind"], name: string, value: string): string {
  return `${letters[kind]}${name.length},${value.length}:${name}${value}`;
}

function readEntries(log: string): Entry[] {
  const entries: Entry[] = [];
  for (let at = 0; at < log.length; ) {
    const comma = log.indexOf(",", at);
    const colon = log.indexOf(":", comma);
    const nameEnd = colon + 1 + Number(log.slice(at + 1, comma));
    const end = nameEnd + Number(log.slice(comma + 1, colon));
    const kind = kinds[log[at]!]!;
    entries.push({ kind, name: log.slice(colon + 1, nameEnd), value: log.slice(nameEnd, end) });
    at = end;
  }
  return entries;
}

/** What a commit adds, in the order of its writing. */
function entriesOf(added: Added): Entry[] {
  const entries: Entry[] = [];
  for (const [name, value] of added.data) {
    if (value === null) entries.push({ kind: "delete", name, value: "" });
    else entries.push({ kind: "set", name, value });
  }
  for (const value of added.history) entries.push({ kind: "history", name: "", value });
  return entries;
}

interface Added {
  readonly data: ReadonlyMap<string, JsonText | null>;
  readonly history: readonly JsonText[];
}

/** What becomes of the log in the row: it is emptied first, or not; then this is appended. */
interface LogChange {
  readonly empty: boolean;
  readonly append: string;
}

export class Contents {
  readonly #sql: ReturnType<typeof prepareStatements>;

  constructor(database: Database) {
    this.#sql = prepareStatements(database);
  }

  /** For a row about to be written: counts what is added, and returns what to do with its log. */
  add(row: HeadRow, added: Added): LogChange {
    row.history += added.history.length;
    let append = "";
    for (const [name, value] of added.data) {
      append += value === null ? writeEntry("delete", name, "") : writeEntry("set", name, value);
      if (append.length > logCharsMax) break;
    }
    for (const entry of added.history) append += writeEntry("history", "", entry);
    const full = row.logChars + append.length > logCharsMax;
    if (!full) {
      row.logChars += append.length;
      return { empty: false, append };
    }
    const before = row.logChars > 0 ? readEntries(this.#logOf(row)) : [];
    const fits = append.length <= logCharsMax;
    const moved = fits ? before : [...before, ...entriesOf(added)];
    const last = row.history - (fits ? added.history.length : 0);
    this.#moveOut(row.number, moved, last);
    row.logChars = fits ? append.length : 0;
    return { empty: true, append: fits ? append : "" };
  }

  /** The fields with these names, or all of them; `log` is the row's. */
  fields(execution: number, log: string, names?: readonly string[]): Map<string, JsonText> {
    const found = new Map<string, JsonText>();
    if (names === undefined) {
      for (const [name, value] of this.#sql.selectFields.values(execution)) {
        found.set(name as string, value as string);
      }
    }
    const inLog = new Map<string, JsonText | null>();
    for (const { kind, name, value } of readEntries(log)) {
      if (kind !== "history") inLog.set(name, kind === "set" ? value : null);
    }
    for (const name of names ?? inLog.keys()) {
      let value = inLog.get(name);
      if (value === undefined) {
        value = this.#sql.selectField.values(execution, name)[0]?.[0] as string | undefined;
      }
      if (value == null) found.delete(name);
      else found.set(name, value);
    }
    return found;
  }

  /** Names of all fields, in order; `log` is the row's. */
  names(execution: number, log: string): readonly string[] {
    const names = new Set(this.#sql.selectNames.values(execution).map(([name]) => name as string));
    for (const { kind, name } of readEntries(log)) {
      if (kind === "set") names.add(name);
      else if (kind === "delete") names.delete(name);
    }
    return [...names].sort(compareText);
  }

  /** Entries with a sequence (from 1) above `after`. */
  history(row: HeadRow, request: { readonly after: number; readonly limit: number }): JsonText[] {
    const { after, limit } = request;
    const rows = this.#sql.selectHistory.values(row.number, after, limit);
    const entries = rows.map(([entry]) => entry as JsonText);
    if (row.logChars === 0 || entries.length === limit) return entries;
    const inLog = readEntries(this.#logOf(row)).filter(({ kind }) => kind === "history");
    const inTable = Math.min(row.history - inLog.length, historySequenceMax);
    const skip = Math.max(0, after - inTable);
    for (const { value } of inLog.slice(skip, skip + limit - entries.length)) entries.push(value);
    return entries;
  }

  #logOf(row: HeadRow): string {
    return this.#sql.selectLog.values(row.number)[0]?.[0] as string;
  }

  /** `last`: sequence of the last history entry among them. */
  #moveOut(execution: number, entries: readonly Entry[], last: number): void {
    const histories = entries.filter(({ kind }) => kind === "history").length;
    let sequence = last - histories;
    for (const { kind, name, value } of entries) {
      if (kind === "set") this.#sql.putField.run(execution, name, value);
      else if (kind === "delete") this.#sql.deleteField.run(execution, name);
      else {
        sequence = Math.min(sequence + 1, historySequenceMax);
        this.#sql.putHistory.run(execution, sequence, value);
      }
    }
  }
}

function prepareStatements(database: Database) {
  return {
    selectLog: database.prepare("SELECT log FROM states WHERE execution = ?"),
    putField: database.prepare(`
      INSERT INTO fields (execution, name, value) VALUES (?, ?, ?)
      ON CONFLICT (execution, name) DO UPDATE SET value = excluded.value`),
    deleteField: database.prepare("DELETE FROM fields WHERE execution = ? AND name = ?"),
    selectField: database.prepare("SELECT value FROM fields WHERE execution = ? AND name = ?"),
    selectNames: database.prepare("SELECT name FROM fields WHERE execution = ?"),
    selectFields: database.prepare("SELECT name, value FROM fields WHERE execution = ?"),
    putHistory: database.prepare(`
      INSERT OR REPLACE INTO history (number, entry) VALUES (${historyKey("?1", "?2")}, ?3)`),
    selectHistory: database.prepare(`
      SELECT entry FROM history
      WHERE number > ${historyKey("?1", "?2")} AND number <= ${historyKey("?1", historySequenceMax)}
      ORDER BY number LIMIT ?3`),
  };
}
