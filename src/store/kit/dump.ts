/** Dumps, put together from reads of one execution's rows: what a store brings is a `DumpSource`. */
import { defined } from "../../base/defined.ts";
import type { NewTimer } from "../../model/decision.ts";
import type { ExecutionKey } from "../../model/ids.ts";
import type {
  DumpAnswer,
  DumpedHead,
  DumpedMessage,
  DumpedTask,
  DumpRequest,
  ExecutionDump,
} from "../store.ts";
import { compareText } from "./order.ts";

/** Rows that are read at once. */
export const dumpRowsMax = 500;
/** Characters after which an answer ends, and no further row is read. */
export const dumpCharsMax = 1024 * 1024;

export interface DumpRows {
  readonly fields: readonly [name: string, value: string];
  readonly history: string;
  readonly tasks: DumpedTask;
  readonly timers: NewTimer;
  readonly messages: DumpedMessage;
}

export type DumpKind = keyof DumpRows;

const kinds = ["fields", "history", "tasks", "timers", "messages"] as const;

export interface DumpSource {
  /** Ids of executions and tombstones of the partition in their order, after the given one. */
  ids(request: DumpRequest): Promise<readonly string[]>;
  /** Undefined: it is gone, as tombstones go by themselves. */
  head(key: ExecutionKey): Promise<DumpedHead | undefined>;
  /**
   * Rows of one kind in their order, without the first `skip`: at most dumpRowsMax, and at least one
   * where there is one; none further when they have dumpCharsMax characters.
   */
  rows<Kind extends DumpKind>(
    key: ExecutionKey,
    kind: Kind,
    skip: number,
  ): Promise<readonly DumpRows[Kind][]>;
}

/** From which row on an execution is dumped; `kind` absent: what comes after it. */
interface Place {
  readonly id: string;
  readonly kind?: DumpKind;
  readonly skip?: number;
}

export async function dumpPage(source: DumpSource, request: DumpRequest): Promise<DumpAnswer> {
  const { partition, limit } = request;
  const place = request.after === undefined ? undefined : (JSON.parse(request.after) as Place);
  const pieces: ExecutionDump[] = [];
  let chars = 0;
  if (place?.kind !== undefined) {
    const { id, kind, skip = 0 } = place;
    const { piece, next, size } = await readPiece(source, { partition, id }, { kind, skip });
    pieces.push(piece);
    chars = size;
    if (next !== undefined || chars >= dumpCharsMax) return { pieces, next: placeText(id, next) };
  }
  const ids = await source.ids({ partition, limit, ...defined({ after: place?.id }) });
  for (const id of ids) {
    const key = { partition, id };
    const first = await source.head(key);
    if (first === undefined) continue;
    const isEmpty = first.kind === "tombstone";
    const read = isEmpty ? whole(id) : await readPiece(source, key, { kind: "fields", skip: 0 });
    pieces.push({ ...read.piece, first });
    chars += read.size + (first.kind === "execution" ? first.state.length : 0);
    const { next } = read;
    if (next !== undefined || chars >= dumpCharsMax) return { pieces, next: placeText(id, next) };
  }
  const last = ids.at(-1);
  if (ids.length < limit || last === undefined) return { pieces };
  return { pieces, next: placeText(last) };
}

function placeText(id: string, from?: Omit<Place, "id">): string {
  return JSON.stringify({ id, ...from } satisfies Place);
}

interface Read {
  readonly piece: ExecutionDump;
  /** Where the next piece begins; undefined: this is the last one. */
  readonly next: Omit<Place, "id"> | undefined;
  readonly size: number;
}

const none = { after: 0, items: [] };

function whole(id: string): Read {
  const piece = { id, fields: [], history: none, tasks: none, timers: [], messages: [] };
  return { piece, next: undefined, size: 0 };
}

/** From the given row on as much as fits. */
async function readPiece(
  source: DumpSource,
  key: ExecutionKey,
  from: { readonly kind: DumpKind; readonly skip: number },
): Promise<Read> {
  const read: { [Kind in DumpKind]?: { after: number; items: readonly DumpRows[Kind][] } } = {};
  let size = 0;
  let next: Omit<Place, "id"> | undefined;
  for (const kind of kinds.slice(kinds.indexOf(from.kind))) {
    const after = kind === from.kind ? from.skip : 0;
    if (size >= dumpCharsMax) {
      next = { kind, skip: after };
      break;
    }
    const items = await source.rows(key, kind, after);
    read[kind] = { after, items: items as never };
    const chars = items.reduce((sum: number, row) => sum + charsOf(row), 0);
    size += chars;
    if (items.length < dumpRowsMax && chars < dumpCharsMax) continue;
    next = { kind, skip: after + items.length };
    break;
  }
  const piece = {
    id: key.id,
    fields: read.fields?.items ?? [],
    history: read.history ?? none,
    tasks: read.tasks ?? none,
    timers: read.timers?.items ?? [],
    messages: read.messages?.items ?? [],
  };
  return { piece, next, size };
}

/** About. */
function charsOf(row: DumpRows[DumpKind]): number {
  if (typeof row === "string") return row.length;
  if ("body" in row) return row.body.length;
  if ("parameters" in row) return row.header.length + row.parameters.length;
  if ("at" in row && "id" in row) return row.id.length;
  const [name, value] = row as DumpRows["fields"];
  return name.length + value.length;
}

/** Index of the first of the sorted ids that comes after the given one; absent: of the first. */
export function firstAfter(ids: readonly string[], after: string | undefined): number {
  if (after === undefined) return 0;
  let [low, high] = [0, ids.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareText(ids[middle]!, after) > 0) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Of rows that a store has in memory, or reads one after the other: as many as `rows` returns. */
export function takeRows<Row extends DumpRows[DumpKind]>(all: Iterable<Row>, skip: number): Row[] {
  const taken: Row[] = [];
  let chars = 0;
  let passed = 0;
  for (const row of all) {
    if (passed++ < skip) continue;
    taken.push(row);
    chars += charsOf(row);
    if (taken.length === dumpRowsMax || chars >= dumpCharsMax) break;
  }
  return taken;
}

/** Room for the tasks of one execution and millisecond. */
const placesPerMs = 1_024;

/**
 * The place of a restored task in its queue, where the places of new ones are above 0: `number`
 * counts the tasks of its execution.
 */
export function restoredPlace(queuedAt: number, number: number): number {
  return queuedAt * placesPerMs + number - 2 ** 52;
}
