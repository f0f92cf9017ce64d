/**
 * Records as the text that a driver stores. Texts within a record follow its JSON as they are, so that
 * they are not escaped: `<JSON>\n<texts>`, where the JSON names their lengths and counts them from 0.
 */
import { defined } from "../../base/defined.ts";
import type { Listing } from "../store.ts";
import type { Place } from "./driver.ts";
import type {
  Block,
  ExecutionRecord,
  Hiding,
  MessageRecord,
  PartRef,
  RowRecord,
  TaskRecord,
  Text,
  TimerRecord,
} from "./model.ts";

/** The number of a text in this record, or where it is in parts. */
type TextCode = number | readonly [name: string, chunks: number];
type HidingCode = readonly [claimId: string, until: number];
type PlaceCode = readonly [at: number, id: string];
type BlockCode = readonly [name: string, chunks: number, count: number, chars: number];

class TextWriter {
  readonly #texts: string[] = [];

  put(text: Text): TextCode {
    if (typeof text !== "string") return [text.name, text.chunks];
    return this.#texts.push(text) - 1;
  }

  /** The whole record. */
  close(fields: object): string {
    const lengths = this.#texts.map(({ length }) => length);
    return `${JSON.stringify({ ...fields, lengths })}\n${this.#texts.join("")}`;
  }
}

class TextReader {
  readonly #texts: readonly string[];

  constructor(texts: readonly string[]) {
    this.#texts = texts;
  }

  get(code: TextCode): Text {
    if (typeof code === "number") return this.#texts[code] as string;
    return { name: code[0], chunks: code[1] };
  }
}

function openBody<Fields>(body: string): { readonly fields: Fields; readonly texts: TextReader } {
  const end = body.indexOf("\n");
  const fields = JSON.parse(body.slice(0, end)) as Fields & { readonly lengths: readonly number[] };
  let at = end + 1;
  const texts = fields.lengths.map((length) => {
    at += length;
    return body.slice(at - length, at);
  });
  return { fields, texts: new TextReader(texts) };
}

const placeCode = (place: Place | undefined): PlaceCode | undefined =>
  place && [place.at, place.id];
const toPlace = (code: PlaceCode | undefined): Place | undefined =>
  code && { at: code[0], id: code[1] };
const hidingCode = (hiding: Hiding | undefined): HidingCode | undefined =>
  hiding && [hiding.claimId, hiding.until];
const toHiding = (code: HidingCode | null | undefined): Hiding | undefined =>
  code ? { claimId: code[0], until: code[1] } : undefined;
const blockCode = ({ ref, count, chars }: Block): BlockCode => [ref.name, ref.chunks, count, chars];
const toBlock = ([name, chunks, count, chars]: BlockCode): Block => ({
  ref: { name, chunks },
  count,
  chars,
});

// Tasks

interface TaskCode extends Omit<TaskRecord, "header" | "parameters" | "hiding" | "place"> {
  readonly header: TextCode;
  readonly parameters: TextCode;
  readonly hiding?: HidingCode;
  readonly place?: PlaceCode;
}

function taskCode(task: TaskRecord, texts: TextWriter): TaskCode {
  const { header, parameters, hiding, place, ...others } = task;
  return {
    ...others,
    header: texts.put(header),
    parameters: texts.put(parameters),
    ...defined({ hiding: hidingCode(hiding), place: placeCode(place) }),
  };
}

function toTask(code: TaskCode, texts: TextReader): TaskRecord {
  const { header, parameters, hiding, place, life, ...others } = code;
  return {
    ...others,
    header: texts.get(header),
    parameters: texts.get(parameters),
    life: { ...life, lease: life.lease },
    hiding: toHiding(hiding),
    place: toPlace(place),
  };
}

// Rows

export function encodeRow({ task, due }: Omit<RowRecord, "version">): string {
  const texts = new TextWriter();
  return texts.close({ task: taskCode(task, texts), due: placeCode(due) });
}

export function decodeRow(version: number, body: string): RowRecord {
  const { fields, texts } = openBody<{ task: TaskCode; due?: PlaceCode }>(body);
  return { version, task: toTask(fields.task, texts), due: toPlace(fields.due) };
}

// Timers and messages, which may stand in parts where they are many

export function encodeTimers(timers: readonly TimerRecord[]): string {
  return JSON.stringify(timers.map(({ id, at, hiding }) => [id, at, hidingCode(hiding)]));
}

function decodeTimers(text: string): readonly TimerRecord[] {
  const codes = JSON.parse(text) as readonly [string, number, HidingCode | null][];
  return codes.map(([id, at, hiding]) => ({ id, at, hiding: toHiding(hiding) }));
}

type MessageCode = readonly [
  id: string,
  body: TextCode,
  deliveries: number,
  sequence: number,
  visibleAt: number,
  claimId?: string | null,
];

export function encodeMessages(messages: readonly MessageRecord[]): string {
  const texts = new TextWriter();
  const codes = messages.map(({ id, body, deliveries, sequence, visibleAt, claimId }) => {
    return [id, texts.put(body), deliveries, sequence, visibleAt, claimId];
  });
  return texts.close({ codes });
}

function decodeMessages(text: string): readonly MessageRecord[] {
  const { fields, texts } = openBody<{ codes: readonly MessageCode[] }>(text);
  return fields.codes.map(([id, body, deliveries, sequence, visibleAt, claimId]) => ({
    id,
    body: texts.get(body),
    deliveries,
    sequence,
    visibleAt,
    claimId: claimId ?? undefined,
  }));
}

// Heads

/** What a head holds as texts of their own: they are read from parts before the head is decoded. */
interface HeadLists {
  readonly timers: Text;
  readonly messages: Text;
}

type Plain =
  | "head"
  | "recentCommitIds"
  | "createdBy"
  | "hold"
  | "dropped"
  | "rows"
  | "isWide"
  | "sequence";

interface HeadCode extends Pick<ExecutionRecord, Plain> {
  /** Raised with whatever an older server would misread. */
  readonly format: 1;
  readonly requestHash?: string;
  readonly listing: Listing;
  readonly listed: ExecutionRecord["listed"];
  readonly state: TextCode;
  readonly fields: readonly (readonly [name: string, value: TextCode | null])[];
  readonly fieldBlocks: readonly BlockCode[];
  readonly history: readonly TextCode[];
  readonly historyBlocks: readonly BlockCode[];
  readonly lone?: TaskCode;
  readonly timers: TextCode;
  readonly messages: TextCode;
  readonly due?: PlaceCode;
  readonly outbox?: PlaceCode;
  readonly grave?: ExecutionRecord["grave"];
}

export function encodeHead(execution: ExecutionRecord, lists: HeadLists): string {
  const texts = new TextWriter();
  const { head, recentCommitIds, createdBy, requestHash, listing, listed, hold } = execution;
  const { fields, history, lone, dropped, rows, isWide, sequence, grave } = execution;
  const code: HeadCode = {
    format: 1,
    head,
    recentCommitIds,
    createdBy,
    listing,
    listed,
    hold,
    dropped,
    rows,
    isWide,
    sequence,
    state: texts.put(execution.state),
    fields: [...fields.recent].map(([name, value]) => [
      name,
      value === null ? null : texts.put(value),
    ]),
    fieldBlocks: fields.blocks.map(blockCode),
    history: history.recent.map((entry) => texts.put(entry)),
    historyBlocks: history.blocks.map(blockCode),
    timers: texts.put(lists.timers),
    messages: texts.put(lists.messages),
    ...defined({
      requestHash,
      lone: lone && taskCode(lone, texts),
      due: placeCode(execution.due),
      outbox: placeCode(execution.outbox),
      grave,
    }),
  };
  return texts.close(code);
}

/** `read` gives a text from its parts. */
export async function decodeHead(
  { version, body }: { readonly version: number; readonly body: string },
  read: (ref: PartRef) => Promise<string>,
): Promise<{ readonly execution: ExecutionRecord; readonly lists: HeadLists }> {
  const { fields: code, texts } = openBody<HeadCode>(body);
  const lists = { timers: texts.get(code.timers), messages: texts.get(code.messages) };
  const whole = async (text: Text) => (typeof text === "string" ? text : await read(text));
  const { head, recentCommitIds, createdBy, requestHash, listing, listed, hold } = code;
  const { dropped, rows, isWide, sequence, grave } = code;
  const recent = code.fields.map(([name, value]) => {
    return [name, value === null ? null : texts.get(value)] as const;
  });
  const execution: ExecutionRecord = {
    version,
    head,
    recentCommitIds,
    createdBy,
    requestHash,
    listing,
    listed,
    hold,
    dropped,
    rows,
    isWide,
    sequence,
    state: texts.get(code.state),
    fields: { recent: new Map(recent), blocks: code.fieldBlocks.map(toBlock) },
    history: {
      recent: code.history.map((entry) => texts.get(entry) as string),
      blocks: code.historyBlocks.map(toBlock),
    },
    lone: code.lone && toTask(code.lone, texts),
    timers: decodeTimers(await whole(lists.timers)),
    messages: decodeMessages(await whole(lists.messages)),
    due: toPlace(code.due),
    outbox: toPlace(code.outbox),
    grave: grave && { until: grave.until, kept: grave.kept, isEmpty: grave.isEmpty },
  };
  return { execution, lists };
}
