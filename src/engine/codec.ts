/** Executions as the store keeps them: the state as text, later record chunks as fields of data. */
import { limits } from "../limits.ts";
import type { Decision } from "../model/decision.ts";
import type { ActionRecord, Execution, ExecutionState } from "../model/execution.ts";
import { currentFormat } from "../model/format.ts";
import { fields } from "../model/ids.ts";
import type { JsonText } from "../model/json.ts";
import {
  nothingWritten,
  readRecord,
  readState,
  type StoredRecord,
  writeRecord,
  writeState,
} from "./stored-state.ts";

/** The first chunk of records is part of the text; later ones are fields of data. */
export function encodeState(execution: Encodable, format: number): JsonText {
  const { state, written = nothingWritten() } = execution;
  return `${writeState(state, format, written)},"records":${encodeRecords(execution, 0)}}`;
}

type Encodable = Pick<Execution, "state" | "records" | "written">;

/** The records of one chunk. */
export function encodeRecords(
  { state, records, written = nothingWritten() }: Encodable,
  chunk: number,
): JsonText {
  const from = chunk * limits.recordChunkActions;
  const to = from + limits.recordChunkActions;
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

/** Throws when the record was written by a newer server than this one. */
export function decodeExecution(text: JsonText, data: ReadonlyMap<string, JsonText>): Execution {
  const {
    records: chunk,
    stateVersion,
    ...stored
  } = JSON.parse(text) as Partial<ExecutionState> & {
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
  for (const [name, part] of data) if (name.startsWith("records:")) add(JSON.parse(part));
  return { state, records, data };
}

/** Names of the fields that hold further records: without them an execution is not complete. */
export function recordFields({ recordChunks = 1 }: ExecutionState): readonly string[] {
  return Array.from({ length: recordChunks - 1 }, (_, chunk) => fields.records(chunk + 1));
}

/** The execution as it will be once the decision is committed. */
export function afterDecision(before: Execution, decision: Decision): Execution {
  return advance({ ...before, data: new Map(before.data) }, decision);
}

/**
 * The same for a decision that holds. The caller gives up `before`: its data is taken over, so that
 * a step costs what it changes and not what there is.
 */
export function advance(before: Execution, decision: Decision): Execution {
  const data = before.data as Map<string, JsonText>;
  for (const [field, text] of decision.data) {
    if (text === null) data.delete(field);
    else data.set(field, text);
  }
  const { state, records, written } = decision;
  return { state, records, data, ...(written !== undefined && { written }) };
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
    ...(second.written !== undefined && { written: second.written }),
    data: new Map([...first.data, ...second.data]),
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
    ...(first.hold !== undefined && { hold: first.hold }),
    ...(second.hold !== undefined && { hold: second.hold }),
    changed: first.changed || second.changed,
    more: second.more,
  };
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
