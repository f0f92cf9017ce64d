/**
 * Executions as the store keeps them: the state as text, and beside it chunks of records as fields of
 * data. Of a workflow with few actions the only chunk is part of the text. Larger ones of the second
 * format have their first chunk there, of `recordChunkActions`, and others like it beside it.
 */
import { defined, type Writable } from "../../base/defined.ts";
import { limits } from "../../base/limits.ts";
import type { Decision } from "../../model/decision.ts";
import type { ActionRecord, Execution, ExecutionState } from "../../model/execution.ts";
import { currentFormat } from "../../model/format.ts";
import { fields } from "../../model/ids.ts";
import type { JsonText } from "../../model/json.ts";
import { parseExact } from "../../model/numbers.ts";
import {
  nothingWritten,
  readRecord,
  readState,
  type StoredRecord,
  writeRecord,
  writeState,
} from "./state.ts";

export function encodeState(execution: Encodable, format: number): JsonText {
  const { state, written = nothingWritten() } = execution;
  const records = isInState(state, 0) ? encodeRecords(execution, 0) : "{}";
  return `${writeState(state, format, written)},"records":${records}}`;
}

export function chunkOf({ chunkActions = limits.recordChunkActions }: Chunked, index: number) {
  return Math.floor(index / chunkActions);
}

/** Whether a chunk is part of the state's text. */
export function isInState({ chunkActions }: Chunked, chunk: number): boolean {
  return chunk === 0 && chunkActions === undefined;
}

/** Chunks of records beside the state: a commit may write all of them. Earlier versions made more. */
export const recordChunksMax = 42;

type Chunked = Pick<ExecutionState, "chunkActions" | "recordChunks">;

type Encodable = Pick<Execution, "state" | "records" | "written">;

/** The records of one chunk. */
export function encodeRecords(
  { state, records, written = nothingWritten() }: Encodable,
  chunk: number,
): JsonText {
  const { chunkActions = limits.recordChunkActions } = state;
  const from = chunk * chunkActions;
  const to = from + chunkActions;
  const parts: string[] = [];
  for (let index = from; index < Math.min(to, records.length); index++) {
    const record = records[index];
    if (record === undefined) continue;
    // Records are never changed in place: the text of one that a commit did not touch is right.
    if (written.records[index] !== record) {
      written.records[index] = record;
      written.texts[index] = `"${index}":${writeRecord(record, state.startedAt)}`;
    }
    parts.push(written.texts[index]!);
  }
  return `{${parts.join(",")}}`;
}

type StoredRecords = Readonly<Record<string, StoredRecord>>;

/** Details of failures hold numbers of callers, which stay exact; all others are the server's own. */
function parseStored(text: JsonText): unknown {
  return text.includes('"details":') ? parseExact(text) : JSON.parse(text);
}

/** Throws when the record was written by a newer server than this one. */
export function decodeExecution(text: JsonText, data: ReadonlyMap<string, JsonText>): Execution {
  const {
    records: chunk,
    stateVersion,
    ...stored
  } = parseStored(text) as Partial<ExecutionState> & {
    readonly records: StoredRecords;
    readonly stateVersion: number;
  };
  if (stateVersion > currentFormat) {
    throw new Error(
      `Execution ${stored.id} was written by a newer server (format ${stateVersion}, this server reads up to ${currentFormat}). Update this server.`,
    );
  }
  // The first format wrote records as they are in memory.
  const isPlain = stateVersion === 1;
  const state = readState(stored);
  const records: (ActionRecord | undefined)[] = [];
  const add = (part: StoredRecords) => {
    for (const [index, record] of Object.entries(part)) {
      records[Number(index)] = isPlain ? record : readRecord(record, state.startedAt);
    }
  };
  add(chunk);
  for (const [name, part] of data)
    if (name.startsWith("records:")) add(parseStored(part) as StoredRecords);
  return { state, records, data };
}

/** Names of the fields that hold further records: without them an execution is not complete. */
export function recordFields(state: Chunked): readonly string[] {
  const chunks = Array.from({ length: state.recordChunks ?? 1 }, (_, chunk) => chunk);
  return chunks.filter((chunk) => !isInState(state, chunk)).map(fields.records);
}

/** The execution as it will be once the decision is committed. */
export function afterDecision(before: Execution, decision: Decision): Execution {
  return advance({ ...before, data: new Map(before.data) }, decision);
}

/**
 * The same for a decision that holds. The caller gives up `before`: its data is taken over, so that
 * a step costs what it changes and not what is stored.
 */
export function advance(before: Execution, decision: Decision): Execution {
  const data = before.data as Map<string, JsonText>;
  let { dataChars = charsOf(data) } = before;
  for (const [field, text] of decision.data) {
    dataChars += (text?.length ?? 0) - (data.get(field)?.length ?? 0);
    if (text === null) data.delete(field);
    else data.set(field, text);
  }
  for (const field of decision.forget ?? []) {
    dataChars -= data.get(field)?.length ?? 0;
    data.delete(field);
  }
  const { state, records, written } = decision;
  const after: Writable<Execution> = { state, records, data, dataChars };
  if (written !== undefined) after.written = written;
  return after;
}

/** Length of all texts of the data, in UTF-16 units. */
export function charsOf(data: ReadonlyMap<string, JsonText>): number {
  let chars = 0;
  for (const text of data.values()) chars += text.length;
  return chars;
}

/**
 * Two decisions, the second made on what the first leads to, as one commit. What the first would
 * add and the second drops never reaches the store.
 */
export function mergeDecisions(first: Decision, second: Decision): Decision {
  const droppedTasks = new Set(second.effects.dropTasks);
  const droppedTimers = new Set(second.effects.dropTimers);
  const movedTimers = new Set(second.effects.timers.map((timer) => timer.id));
  const a = first.effects;
  const b = second.effects;
  return {
    state: second.state,
    records: second.records,
    data: new Map([...first.data, ...second.data]),
    forget: [...(first.forget ?? []), ...(second.forget ?? [])],
    settle: [...first.settle, ...second.settle],
    expire: [...first.expire, ...second.expire],
    consumeTimers: [...first.consumeTimers, ...second.consumeTimers],
    effects: {
      tasks: [...a.tasks.filter((task) => !droppedTasks.has(task.id)), ...b.tasks],
      dropTasks: [...a.dropTasks, ...b.dropTasks],
      timers: [
        ...a.timers.filter((timer) => !droppedTimers.has(timer.id) && !movedTimers.has(timer.id)),
        ...b.timers,
      ],
      dropTimers: [...a.dropTimers, ...b.dropTimers],
      messages: [...a.messages, ...b.messages],
      history: [...a.history, ...b.history],
    },
    scripts: second.scripts,
    waitingScripts: [...first.waitingScripts, ...second.waitingScripts],
    answers: [...first.answers, ...second.answers],
    ...defined({ written: second.written, hold: second.hold ?? first.hold }),
    changed: first.changed || second.changed,
    more: second.more,
  };
}

/** How many rows the commit of a decision has, as limits.commitRowsMax counts them. */
export function rowCount(decision: Decision): number {
  return effectCount(decision) + decision.data.size + decision.effects.history.length;
}

/** How many effects a decision has, as limits.commitEffectsMax counts them. */
export function effectCount(decision: Decision): number {
  const { tasks, dropTasks, timers, dropTimers, messages } = decision.effects;
  return (
    tasks.length +
    dropTasks.length +
    timers.length +
    dropTimers.length +
    messages.length +
    decision.settle.length +
    decision.expire.length +
    decision.consumeTimers.length
  );
}
