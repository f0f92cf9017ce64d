/**
 * How the control state is written: it goes to disk with every commit, so what is as it always is
 * takes no room. Fields of the state that have their first value are left out; records have
 * one-letter names and count time from the execution's start.
 *
 *     s  status, by place in `actionStatuses`    n  attempt        r  route
 *     b  startedAt   e  endedAt                  h  handout        t  attempts
 *
 * `stateVersion` is the format (model/format.ts): a server refuses one that it does not know.
 * An attempt is `[number, handout, startedAt, endedAt, nonce, worker, failure]`, without what is
 * missing at its end; all other fields of a record keep their names.
 */
import type { Writable } from "../../base/defined.ts";
import {
  type ActionRecord,
  type AttemptRecord,
  actionStatuses,
  type ExecutionState,
  type Written,
} from "../../model/execution.ts";
import type { JsonText } from "../../model/json.ts";

/** What a new execution begins with; only `first` values of these fields are left out. */
const first = {
  status: "RUNNING",
  run: 1,
  priority: 0,
  pausedMs: 0,
  open: 0,
  signalSequence: 0,
  depth: 0,
  heldTimers: [],
  ready: [],
  closing: [],
  signals: [],
  causes: [],
} satisfies Partial<ExecutionState>;

/** The memory of an encoder that has written nothing yet: see Written. */
export function nothingWritten(): Written {
  return { identity: "", format: 0, records: [], texts: [] };
}

/** Without the closing brace. */
export function writeState(state: ExecutionState, format: number, written: Written): JsonText {
  if (written.format !== format) {
    written.identity = JSON.stringify({ stateVersion: format, ...identityOf(state) }).slice(0, -1);
    written.format = format;
  }
  return `${written.identity},${JSON.stringify(progressOf(state)).slice(1, -1)}`;
}

/** What an execution begins with and keeps. */
function identityOf(state: ExecutionState) {
  return {
    id: state.id,
    generatedId: state.generatedId,
    workflow: state.workflow,
    version: state.version,
    correlationId: state.correlationId,
    traceContext: state.traceContext,
    traceState: state.traceState,
    seed: state.seed,
    startedAt: state.startedAt,
    priority: unless(first.priority, state.priority),
    depth: unless(first.depth, state.depth),
    recordChunks: state.recordChunks,
    chunkActions: state.chunkActions,
    failuresTravel: state.failuresTravel,
    parent: state.parent,
    nesting: state.nesting,
    inline: state.inline,
  };
}

/** What changes; the compiler checks that `identityOf` has all the rest. */
function progressOf(state: ExecutionState) {
  return {
    handout: state.handout,
    historySequence: state.historySequence,
    status: unless(first.status, state.status),
    run: unless(first.run, state.run),
    idRun: state.idRun,
    given: state.given,
    open: unless(first.open, state.open),
    endedAt: state.endedAt,
    timeoutAt: state.timeoutAt,
    timeoutTimer: state.timeoutTimer,
    pausedAt: state.pausedAt,
    pausedMs: unless(first.pausedMs, state.pausedMs),
    continueTimer: state.continueTimer,
    signalSequence: unless(first.signalSequence, state.signalSequence),
    failure: state.failure,
    cancelReason: state.cancelReason,
    followUpFailure: state.followUpFailure,
    heldTimers: unlessEmpty(state.heldTimers),
    ready: unlessEmpty(state.ready),
    closing: unlessEmpty(state.closing),
    signals: unlessEmpty(state.signals),
    causes: unlessEmpty(state.causes),
  } satisfies Record<Exclude<keyof ExecutionState, keyof ReturnType<typeof identityOf>>, unknown>;
}

function unless<Value>(usual: Value, value: Value): Value | undefined {
  return value === usual ? undefined : value;
}

function unlessEmpty<Item>(items: readonly Item[]): readonly Item[] | undefined {
  return items.length === 0 ? undefined : items;
}

/** A state as it was stored, in any format, with the defaults of fields that it lacks. */
export function readState(stored: Partial<ExecutionState>): ExecutionState {
  return { ...first, ...stored } as ExecutionState;
}

const placeOf = new Map(actionStatuses.map((status, place) => [status, place]));

/** The stored text of a record; moments are relative to the start of the execution. */
export function writeRecord(record: ActionRecord, startedAt: number): JsonText {
  const { status, startedAt: began, endedAt, handout, attempt, route, attempts } = record;
  // In one call: text that is put together piece by piece is copied piece by piece, at every use.
  return JSON.stringify({
    s: placeOf.get(status)!,
    b: since(began, startedAt),
    e: since(endedAt, startedAt),
    h: handout,
    n: attempt,
    r: route,
    t: attempts?.map((one) => storedAttempt(one, startedAt)),
    edges: record.edges,
    attemptsDropped: record.attemptsDropped,
    totalUntil: record.totalUntil,
    pausedMsThen: record.pausedMsThen,
    timers: record.timers,
    dueAt: record.dueAt,
    events: record.events,
    child: record.child,
    childVersion: record.childVersion,
    rounds: record.rounds,
    failure: record.failure,
    skippedBy: record.skippedBy,
    causes: record.causes,
    failureSequence: record.failureSequence,
    errorOf: record.errorOf,
    items: record.items,
  } satisfies WrittenRecord);
}

/** Every field of a record is written: a new one is missed here by the compiler. */
type Renamed = "status" | "startedAt" | "endedAt" | "handout" | "attempt" | "route" | "attempts";
type WrittenRecord = Record<
  "s" | "b" | "e" | "h" | "n" | "r" | "t" | Exclude<keyof ActionRecord, Renamed>,
  unknown
>;

function since(moment: number | undefined, startedAt: number): number | undefined {
  return moment === undefined ? undefined : moment - startedAt;
}

function storedAttempt(attempt: AttemptRecord, startedAt: number): StoredAttempt {
  const { number, handout, nonce, worker, failure } = attempt;
  const began = since(attempt.startedAt, startedAt) ?? null;
  const ended = attempt.endedAt - startedAt;
  if (failure !== undefined) {
    return [number, handout, began, ended, nonce ?? null, worker ?? null, failure];
  }
  if (worker !== undefined) return [number, handout, began, ended, nonce ?? null, worker];
  if (nonce !== undefined) return [number, handout, began, ended, nonce];
  return [number, handout, began, ended];
}

type StoredAttempt = readonly [
  number: number,
  handout: number,
  startedAt: number | null,
  endedAt: number,
  nonce?: string | null,
  worker?: string | null,
  failure?: AttemptRecord["failure"],
];

export type StoredRecord = ActionRecord & {
  readonly s: number;
  readonly b?: number;
  readonly e?: number;
  readonly h?: number;
  readonly n?: number;
  readonly r?: string;
  readonly t?: readonly StoredAttempt[];
};

/** The inverse of writeRecord. */
export function readRecord(stored: StoredRecord, startedAt: number): ActionRecord {
  const { s, b, e, h, n, r, t, ...others } = stored;
  const record: Writable<ActionRecord> = { ...others, status: actionStatuses[s]! };
  if (b !== undefined) record.startedAt = startedAt + b;
  if (e !== undefined) record.endedAt = startedAt + e;
  if (h !== undefined) record.handout = h;
  if (n !== undefined) record.attempt = n;
  if (r !== undefined) record.route = r;
  if (t !== undefined) record.attempts = t.map((attempt) => readAttempt(attempt, startedAt));
  return record;
}

function readAttempt(stored: StoredAttempt, startedAt: number): AttemptRecord {
  const [number, handout, began, ended, nonce, worker, failure] = stored;
  const attempt: Writable<AttemptRecord> = { number, handout, endedAt: startedAt + ended };
  if (nonce != null) attempt.nonce = nonce;
  if (began !== null) attempt.startedAt = startedAt + began;
  if (worker != null) attempt.worker = worker;
  if (failure !== undefined) attempt.failure = failure;
  return attempt;
}
